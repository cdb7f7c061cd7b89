"""A job's losses in a few numbers, for the small curve in a list of jobs. Pure.

Steps are counted from 1 and fall into buckets of `stride` steps. A bucket holds its last loss, or None if none was
reported or it was not finite. Whenever there would be too many buckets, they become twice as wide, so the result does
not depend on how the metrics were batched.
"""

from collections.abc import Iterable
from typing import Any

# As many points as a curve in a table column can show.
MAX_POINTS = 64


def extend_trace(trace: dict[str, Any] | None, losses: Iterable[tuple[int, float | None]]) -> dict[str, Any]:
    """The trace extended by (step, loss) pairs, oldest first; None is the trace of a job without losses.

    A step that is in the trace already removes all later ones: a run that is resumed from a checkpoint repeats them.
    """
    stride: int = trace["stride"] if trace else 1
    points: list[float | None] = list(trace["losses"]) if trace else []
    for step, loss in losses:
        index = (step - 1) // stride
        while index >= MAX_POINTS:
            points = _halve(points)
            stride *= 2
            index = (step - 1) // stride
        del points[index + 1 :]
        points += [None] * (index + 1 - len(points))
        if loss is not None:
            points[index] = loss
    return {"stride": stride, "losses": points}


def _halve(points: list[float | None]) -> list[float | None]:
    """Merge neighbouring buckets: the second loss of each pair, or the first where there is no other."""
    pairs = [points[place : place + 2] for place in range(0, len(points), 2)]
    return [next((loss for loss in reversed(pair) if loss is not None), None) for pair in pairs]
