"""Samples of several lengths, and their losses and gradients one by one, padded and packed."""

from typing import Any

import pytest
import torch
from torch import Tensor

from emomodel.model.projection import make_projection
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.dataset import IGNORED_LABEL

AXES = 8
# Longer than the sliding window of 16, as long as it, and shorter.
LENGTHS = (40, 9, 16, 23)


def make_samples(seed: int = 5) -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for length in LENGTHS:
        ids = torch.randint(10, 900, (length,), generator=generator)
        # The tokens from 7 to 14 are those for images and audio in the tiny models.
        ids[ids < 20] += 20
        labels = ids.clone()
        labels[: length // 2] = IGNORED_LABEL
        emotions = torch.rand(length, AXES, generator=generator) * 2 - 1
        samples.append(
            {"input_ids": ids, "attention_mask": torch.ones_like(ids), "emotion_vectors": emotions, "labels": labels}
        )
    return samples


def wrap_for_training(base: Any) -> EmotionalGemmaUnslothWrapper:
    torch.manual_seed(1)
    projection = make_projection(AXES, 64, "default")
    return EmotionalGemmaUnslothWrapper(base, projection, scale=1.0, centered=True).train()


def learn(wrapper: EmotionalGemmaUnslothWrapper, batches: list[dict[str, Any]]) -> tuple[float, list[Tensor]]:
    """The sum of the batches' losses divided by the number of all labels, and its gradients for all weights it uses."""
    items = torch.tensor(sum(length - length // 2 for length in LENGTHS))
    loss = torch.stack([wrapper(**batch, num_items_in_batch=items).loss for batch in batches]).sum()
    gradients = torch.autograd.grad(loss, list(wrapper.parameters()), allow_unused=True)
    return loss.item(), [gradient for gradient in gradients if gradient is not None]


def assert_alike(ours: tuple[float, list[Tensor]], theirs: tuple[float, list[Tensor]]) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    for mine, other in zip(ours[1], theirs[1], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=2e-5)
