"""The optimizer and its schedule: one group of parameters for the adapter, one for the emotion projection."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from emomodel.config import Schedule

LORA_GROUP = 0
EMOTION_GROUP = 1


def make_optimizer(
    lora_parameters: Iterable[nn.Parameter],
    emotion_parameters: Iterable[nn.Parameter],
    *,
    lora_learning_rate: float,
    emotion_learning_rate: float,
    weight_decay: float,
) -> torch.optim.AdamW:
    """Make AdamW with a learning rate for each of the two groups, and weight decay on the adapter only.

    The projection starts at zero and has to reach large outputs quickly, so its rate is higher, and weight decay would
    slow it down.
    """
    groups: list[dict[str, Any]] = [
        {"params": list(lora_parameters), "lr": lora_learning_rate, "weight_decay": weight_decay},
        {"params": list(emotion_parameters), "lr": emotion_learning_rate, "weight_decay": 0.0},
    ]
    is_on_cuda = groups[LORA_GROUP]["params"][0].is_cuda
    # Fused, an update is a few kernels in all instead of several for each of the hundreds of matrices.
    return torch.optim.AdamW(groups, fused=is_on_cuda)


def make_schedule(
    optimizer: torch.optim.Optimizer, schedule: Schedule, *, step_count: int, warmup_ratio: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Make the learning rates of all groups: they rise for `warmup_ratio` of `step_count`, then follow `schedule`.

    No update has a rate of zero. transformers' own schedules start at zero, so their first update changes nothing and
    a training of one update learns nothing.
    """
    warmup_count = math.ceil(step_count * warmup_ratio)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: get_rate_factor(schedule, step, step_count=step_count, warmup_count=warmup_count)
    )


def get_rate_factor(schedule: Schedule, step: int, *, step_count: int, warmup_count: int) -> float:
    """Return the fraction, in [0, 1], of the peak learning rate at the update `step`, which counts from 0."""
    if step < warmup_count:
        return (step + 1) / (warmup_count + 1)
    if schedule == "constant":
        return 1.0
    # The Trainer also asks for the update after the last one, where "linear" and "cosine" are at zero.
    share = min((step - warmup_count) / max(step_count - warmup_count, 1), 1.0)
    return 1.0 - share if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * share))
