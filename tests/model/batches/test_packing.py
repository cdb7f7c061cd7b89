"""Packed samples don't affect each other: the tiny Gemma, which has both kinds of attention, against single samples."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.batches.packing import PackingCollator, Shape
from emomodel.model.head_loss import frozen_head_loss
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper
from emomodel.samples.dataset import IGNORED_LABEL
from tests.model.packed_samples import AXES, assert_alike, learn, make_samples, wrap_for_training

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def wrapper(tiny_gemma: Path) -> EmotionalGemmaUnslothWrapper:
    base: Any = AutoModelForCausalLM.from_pretrained(tiny_gemma, dtype=torch.float32)
    return wrap_for_training(base)


@pytest.fixture(scope="module")
def one_by_one(wrapper: EmotionalGemmaUnslothWrapper) -> tuple[float, list[Tensor]]:
    collate = DataCollatorForEmotionalGemma(0, AXES)
    return learn(wrapper, [collate([sample]) for sample in make_samples()])


@pytest.mark.parametrize("shape", [None, Shape(token_count=128, target_count=64, piece_count=8, longest=40)])
def test_loss_and_gradients_are_those_of_one_sample_at_a_time(
    wrapper: EmotionalGemmaUnslothWrapper, one_by_one: tuple[float, list[Tensor]], shape: Shape | None
) -> None:
    assert_alike(learn(wrapper, [PackingCollator(0, AXES, shape=shape)(make_samples())]), one_by_one)


def test_padded_batches_have_the_same_loss_and_gradients(
    wrapper: EmotionalGemmaUnslothWrapper, one_by_one: tuple[float, list[Tensor]]
) -> None:
    assert_alike(learn(wrapper, [DataCollatorForEmotionalGemma(0, AXES)(make_samples())]), one_by_one)
    marked = DataCollatorForEmotionalGemma(0, AXES, marks_targets=True)
    assert_alike(learn(wrapper, [marked(make_samples())]), one_by_one)


def test_without_position_ids_the_samples_would_see_each_other(
    wrapper: EmotionalGemmaUnslothWrapper, one_by_one: tuple[float, list[Tensor]]
) -> None:
    batch = PackingCollator(0, AXES)(make_samples())
    del batch["position_ids"]
    assert learn(wrapper, [batch])[0] != pytest.approx(one_by_one[0], rel=1e-3)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_the_loss_of_a_frozen_head_is_that_of_its_logits(softcap: float | None) -> None:
    torch.manual_seed(4)
    hidden, head = torch.randn(17, 12, requires_grad=True), torch.randn(50, 12)
    targets = torch.randint(0, 50, (17,))
    targets[[0, 6, 16]] = IGNORED_LABEL
    logits = hidden @ head.T
    if softcap is not None:
        logits = softcap * torch.tanh(logits / softcap)
    expected = torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED_LABEL, reduction="sum")
    # Chunks of 5 of the 17 rows.
    loss = frozen_head_loss(hidden, head, targets, softcap=softcap, compiled=False, chunk_bytes=5 * 50 * 4)
    torch.testing.assert_close(loss, expected)
    (ours,), (theirs,) = torch.autograd.grad(loss * 3, hidden), torch.autograd.grad(expected * 3, hidden)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
