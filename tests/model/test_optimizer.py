"""Steps, warm-up, groups, and the curve's smoothing: small sums, but they need the heavy libraries to be imported."""

import math

import pytest
import torch
from torch import nn

from emomodel.optimizer import EMOTION_GROUP, LORA_GROUP, count_steps, count_warmup_steps, make_optimizer
from emomodel.plot import smooth

pytestmark = pytest.mark.model


@pytest.mark.parametrize(
    ("examples", "batch", "accumulation", "epochs", "limit", "steps"),
    [
        (12, 4, 1, 1.0, None, 3),
        (13, 4, 1, 1.0, None, 4),
        (13, 4, 2, 1.0, None, 2),
        (13, 4, 2, 2.5, None, 5),
        (3, 12, 4, 1.0, None, 1),
        (100, 1, 1, 0.001, None, 1),
        (12, 4, 1, 10.0, 7, 7),
        (12, 4, 1, 1.0, 7, 3),
    ],
)
def test_count_steps(
    examples: int, batch: int, accumulation: int, epochs: float, limit: int | None, steps: int
) -> None:
    assert (
        count_steps(examples, batch_size=batch, gradient_accumulation=accumulation, epochs=epochs, max_steps=limit)
        == steps
    )


def test_count_warmup_steps() -> None:
    assert [count_warmup_steps(40, ratio) for ratio in (0.0, 0.05, 0.06, 1.0)] == [0, 2, 3, 40]


def test_weight_decay_is_on_the_adapter_only() -> None:
    lora, emotion = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    optimizer = make_optimizer([lora], [emotion], lora_learning_rate=0.1, emotion_learning_rate=0.2, weight_decay=0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]
    assert (LORA_GROUP, EMOTION_GROUP) == (0, 1)
    lora.grad, emotion.grad = torch.zeros(1), torch.zeros(1)
    optimizer.step()
    assert lora.item() == pytest.approx(1 - 0.1 * 0.5)
    assert emotion.item() == 1


def test_smooth() -> None:
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smooth([0.0, 1.0])[1] == pytest.approx(0.1 / 0.19)
    assert math.isclose(smooth([1.0])[0], 1.0)
