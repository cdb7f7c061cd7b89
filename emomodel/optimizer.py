"""The optimizer: one group for the adapter, one for the emotion projection."""

import math
from collections.abc import Iterable

import torch
from torch import nn

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
    groups = [
        {"params": list(lora_parameters), "lr": lora_learning_rate, "weight_decay": weight_decay},
        {"params": list(emotion_parameters), "lr": emotion_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups)


def count_steps(
    example_count: int, *, batch_size: int, gradient_accumulation: int, epochs: float, max_steps: int | None
) -> int:
    """Optimizer updates of a training: the last update of an epoch may be made of fewer batches."""
    steps_per_epoch = math.ceil(math.ceil(example_count / batch_size) / gradient_accumulation)
    steps = max(math.ceil(epochs * steps_per_epoch), 1)
    return steps if max_steps is None else min(steps, max_steps)


def count_warmup_steps(step_count: int, warmup_ratio: float) -> int:
    """Updates during which the rates rise from zero."""
    return math.ceil(step_count * warmup_ratio)
