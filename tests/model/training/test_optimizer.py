"""Warm-up, parameter groups, and the smoothing of the curve: small functions in modules that import torch."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from emomodel.config import Schedule
from emomodel.training.optimizer import EMOTION_GROUP, LORA_GROUP, get_rate_factor, make_optimizer
from emomodel.training.plot import plot_loss, smooth

pytestmark = pytest.mark.model


def test_the_rate_rises_to_its_peak_and_falls_to_zero_after_the_last_update() -> None:
    linear = [get_rate_factor("linear", step, step_count=6, warmup_count=2) for step in range(7)]
    assert linear == pytest.approx([1 / 3, 2 / 3, 1, 0.75, 0.5, 0.25, 0])
    cosine = [get_rate_factor("cosine", step, step_count=4, warmup_count=0) for step in range(5)]
    assert cosine == pytest.approx([1, 0.853553, 0.5, 0.146447, 0], abs=1e-6)
    assert {get_rate_factor("constant", step, step_count=4, warmup_count=0) for step in range(5)} == {1.0}


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize(("step_count", "warmup_count"), [(1, 0), (1, 1), (2, 1), (100, 5), (3, 3)])
def test_no_update_has_the_rate_zero(schedule: Schedule, step_count: int, warmup_count: int) -> None:
    factors = [
        get_rate_factor(schedule, step, step_count=step_count, warmup_count=warmup_count) for step in range(step_count)
    ]
    assert min(factors) > 0


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


def test_a_name_with_dollar_signs_is_a_title_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    plot_loss([1, 2], [3.0, 2.0], path, title=r"gemma on prices $x_y_z$ and $\foo$")
    assert path.read_bytes().startswith(b"\x89PNG")
