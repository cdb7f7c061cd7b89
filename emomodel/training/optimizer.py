"""The optimizer: one group for the adapter, one for the emotion projection."""

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
    """AdamW with a rate of its own for each group; weight decay on the adapter only.

    The projection must reach large outputs from zero, and quickly: its rate is higher, and decay would hold it back.
    """
    groups: list[dict[str, Any]] = [
        {"params": list(lora_parameters), "lr": lora_learning_rate, "weight_decay": weight_decay},
        {"params": list(emotion_parameters), "lr": emotion_learning_rate, "weight_decay": 0.0},
    ]
    is_on_cuda = groups[LORA_GROUP]["params"][0].is_cuda
    # On CUDA the whole update is a few kernels instead of several for each of the hundreds of matrices.
    return torch.optim.AdamW(groups, fused=is_on_cuda)


def make_schedule(
    optimizer: torch.optim.Optimizer, schedule: Schedule, *, step_count: int, warmup_ratio: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """The rates of all groups over the updates: a rise over `warmup_ratio` of them, then the schedule.

    No update has the rate zero. transformers' own schedules begin at zero, so that their first update changes nothing,
    and a training of one update trains nothing.
    """
    warmup_count = math.ceil(step_count * warmup_ratio)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: get_rate_factor(schedule, step, step_count=step_count, warmup_count=warmup_count)
    )


def get_rate_factor(schedule: Schedule, step: int, *, step_count: int, warmup_count: int) -> float:
    """The share of the peak rate at an update, counted from 0."""
    if step < warmup_count:
        return (step + 1) / (warmup_count + 1)
    if schedule == "constant":
        return 1.0
    # The Trainer also asks for the update after the last one, where both end at zero.
    share = min((step - warmup_count) / max(step_count - warmup_count, 1), 1.0)
    return 1.0 - share if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * share))
