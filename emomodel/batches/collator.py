"""DataCollatorForEmotionalGemma: samples become a batch of padded tensors. For packed batches see packing.py."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from emomodel.samples.dataset import IGNORED_LABEL, Sample


class DataCollatorForEmotionalGemma:
    """Pads B samples at their end to T tokens, the length of the longest.

    A batch has `input_ids`, `attention_mask` and `labels` (B, T) int64, and `emotion_vector` (B, T, axes) float32,
    made of the samples' `emotion_vectors`. Padding has the pad token, the mask 0, IGNORED_LABEL and the neutral
    emotion, zero. With `batching: "fixed"` the samples already have max_length tokens each, and T is max_length.
    """

    def __init__(self, pad_token_id: int, axis_count: int, *, marks_targets: bool = False) -> None:
        """Make batches for a model of `axis_count` axes, padded with `pad_token_id`.

        `marks_targets` adds `target_positions` (N,) int64, as `find_target_positions` returns them: the wrapper then
        applies the model's head there alone.
        """
        self._pad_token_id = pad_token_id
        self._axis_count = axis_count
        self._marks_targets = marks_targets

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = {
            "input_ids": _pad(samples, "input_ids", self._pad_token_id),
            "attention_mask": _pad(samples, "attention_mask", 0),
            "labels": _pad(samples, "labels", IGNORED_LABEL),
            "emotion_vector": pad_sequence(
                [as_emotions(sample, self._axis_count) for sample in samples], batch_first=True
            ),
        }
        if self._marks_targets:
            batch["target_positions"] = find_target_positions(batch["labels"])
        return batch


def as_tensors(sample: Sample) -> dict[str, Tensor]:
    """A sample of T tokens as tensors, of which batches are made many times faster than of lists.

    `input_ids`, `attention_mask` and `labels` are (T,) int64, `emotion_vectors` is (T, axes) float32.
    """
    return {
        "input_ids": torch.tensor(sample["input_ids"]),
        "attention_mask": torch.tensor(sample["attention_mask"]),
        "emotion_vectors": torch.tensor(sample["emotion_vectors"], dtype=torch.float32),
        "labels": torch.tensor(sample["labels"]),
    }


def shift_labels(labels: Tensor) -> Tensor:
    """The label that each position of `labels` (B, T) predicts, which is the next one: (B, T) int64.

    The last position of each row predicts nothing, so it gets IGNORED_LABEL.
    """
    return torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED_LABEL)


def find_target_positions(labels: Tensor) -> Tensor:
    """The positions whose next token counts in the loss, as indices into the flattened `labels` (B, T): (N,) int64."""
    return (shift_labels(labels).flatten() != IGNORED_LABEL).nonzero().squeeze(1)


def as_emotions(sample: Mapping[str, Any], axis_count: int) -> Tensor:
    """The emotion vectors of a sample of T tokens, given as lists or as a tensor: (T, axes) float32."""
    return torch.as_tensor(sample["emotion_vectors"], dtype=torch.float32).view(-1, axis_count)


def _pad(samples: Sequence[Mapping[str, Any]], name: str, value: int) -> Tensor:
    rows = [torch.as_tensor(sample[name], dtype=torch.int64) for sample in samples]
    return pad_sequence(rows, batch_first=True, padding_value=value)


# The name that the collator has in the project that emotune grew out of.
DataCollatorForEmotionalLlama = DataCollatorForEmotionalGemma
