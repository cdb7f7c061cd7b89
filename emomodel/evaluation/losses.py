"""Evaluator: the loss of each example under its own emotion and under the neutral one.

The first shows how well the example was learnt, the difference how much the emotion helps to predict the reply.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from emomodel.batches.collator import find_target_positions
from emomodel.errors import Stopped
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.dataset import IGNORED_LABEL

# The number of logits that are computed at a time: 256 MiB in float32.
_LOGIT_COUNT = 1 << 26

TensorSample = Mapping[str, Tensor]
Collate = Callable[[list[Any]], dict[str, Any]]


@dataclass(frozen=True)
class ExampleLoss:
    """The losses of one example in nats per target token: under its own emotion, and with every emotion neutral.

    `target_count` is the number of its tokens that count in the loss.
    """

    loss: float
    neutral_loss: float
    target_count: int


@dataclass(frozen=True)
class Evaluation:
    """The two losses over all examples, in nats per target token; every token has the same weight."""

    loss: float
    neutral_loss: float
    example_count: int


def _never() -> bool:
    return False


class Evaluator:
    """Measures a model on samples, in batches of the kind that it is trained on."""

    def __init__(
        self,
        wrapper: EmotionalGemmaUnslothWrapper,
        collate: Collate,
        samples: Sequence[TensorSample],
        *,
        batch_size: int,
    ) -> None:
        self._wrapper = wrapper
        self._collate = collate
        self._samples = samples
        self._batch_size = batch_size

    @torch.no_grad()
    def measure(self, should_stop: Callable[[], bool] = _never) -> list[ExampleLoss]:
        """Return the losses of each sample, in their order. The model keeps its mode, and no random numbers are drawn.

        Raises Stopped when `should_stop`, which is called before each batch, returns True.
        """
        was_training = self._wrapper.training
        self._wrapper.eval()
        try:
            losses: list[ExampleLoss] = []
            for batch in self._split():
                if should_stop():
                    raise Stopped("the evaluation was interrupted")
                losses += self._measure_batch(batch)
            return losses
        finally:
            self._wrapper.train(was_training)

    def sum_up(self, should_stop: Callable[[], bool] = _never) -> Evaluation:
        """Return the mean losses over all target tokens. Raises Stopped, as `measure` does."""
        losses = self.measure(should_stop)
        count = sum(example.target_count for example in losses)
        return Evaluation(
            loss=sum(example.loss * example.target_count for example in losses) / count,
            neutral_loss=sum(example.neutral_loss * example.target_count for example in losses) / count,
            example_count=len(losses),
        )

    def _split(self) -> Iterator[list[TensorSample]]:
        for start in range(0, len(self._samples), self._batch_size):
            yield list(self._samples[start : start + self._batch_size])

    def _measure_batch(self, samples: list[TensorSample]) -> list[ExampleLoss]:
        device = self._wrapper.device
        batch = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in self._collate(samples).items()
        }
        emotion = batch["emotion_vector"]
        own = self._sum_losses(batch, samples)
        neutral = self._sum_losses(batch | {"emotion_vector": torch.zeros_like(emotion)}, samples)
        counts = [int((sample["labels"][1:] != IGNORED_LABEL).sum()) for sample in samples]
        return [
            ExampleLoss(loss / count, neutral_loss / count, count)
            for loss, neutral_loss, count in zip(own, neutral, counts, strict=True)
        ]

    def _sum_losses(self, batch: dict[str, Any], samples: list[TensorSample]) -> list[float]:
        """The sum of the losses of each sample of a batch, in nats."""
        labels: Tensor = batch["labels"]
        positions = find_target_positions(labels)
        given = {name: value for name, value in batch.items() if name not in ("labels", "target_positions")}
        is_16_bit = self._wrapper.get_head_weight().dtype == torch.bfloat16
        with torch.autocast(labels.device.type, dtype=torch.bfloat16, enabled=is_16_bit and labels.is_cuda):
            hidden = self._wrapper.hidden_states(**given).flatten(0, 1)[positions]
            losses = self._token_losses(hidden, labels.flatten()[positions + 1])
        owners = _find_owners(positions, labels.shape, samples)
        sums = torch.zeros(len(samples), device=losses.device).index_add(0, owners, losses)
        totals: list[float] = sums.tolist()
        return totals

    def _token_losses(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """The loss of `hidden` (N, hidden) at each of `targets` (N,): (N,) float32, computed for a few at a time."""
        rows = max(_LOGIT_COUNT // self._wrapper.get_head_weight().shape[0], 1)
        parts = zip(torch.split(hidden, rows), torch.split(targets, rows), strict=True)
        losses = [
            nn.functional.cross_entropy(self._wrapper.logits(part).float(), wanted, reduction="none")
            for part, wanted in parts
        ]
        return torch.cat(losses)


def _find_owners(positions: Tensor, shape: torch.Size, samples: list[TensorSample]) -> Tensor:
    """The index of the sample that each position is in. Samples have a row each, or are all in one row."""
    if shape[0] == len(samples):
        return positions // shape[1]
    ends = torch.tensor([len(sample["input_ids"]) for sample in samples], device=positions.device).cumsum(0)
    return torch.bucketize(positions, ends, right=True)
