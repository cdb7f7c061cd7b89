"""How many batches and updates a training takes."""

import math

from emomodel.config import MAX_STEPS


def count_batches(
    example_count: int, *, batch_size: int, gradient_accumulation: int, epochs: float, max_steps: int | None
) -> int:
    """Forward passes of a training. Updates take `gradient_accumulation` of them each, across the ends of epochs."""
    batches = max(math.ceil(epochs * math.ceil(example_count / batch_size)), 1)
    return min(batches, (MAX_STEPS if max_steps is None else max_steps) * gradient_accumulation)


def count_steps(batch_count: int, gradient_accumulation: int) -> int:
    """Optimizer updates of so many batches; the last may be made of fewer."""
    return math.ceil(batch_count / gradient_accumulation)
