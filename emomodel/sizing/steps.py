"""The number of batches and of updates that a training takes."""

import math

from emomodel.config import MAX_STEPS


def count_batches(
    example_count: int, *, batch_size: int, gradient_accumulation: int, epochs: float, max_steps: int | None
) -> int:
    """The forward passes of a training. Each update takes `gradient_accumulation` of them, also across epochs."""
    batches = max(math.ceil(epochs * math.ceil(example_count / batch_size)), 1)
    return min(batches, (MAX_STEPS if max_steps is None else max_steps) * gradient_accumulation)


def count_steps(batch_count: int, gradient_accumulation: int) -> int:
    """The optimizer updates for `batch_count` batches; the last update may have fewer batches."""
    return math.ceil(batch_count / gradient_accumulation)
