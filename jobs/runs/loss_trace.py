"""A job's losses in a few numbers, for the small curve in a list of jobs: pure.

Steps are counted from 1 and fall into buckets of `stride` steps. A bucket has its last loss, or None where none was
told or it was not finite. Whenever there would be too many buckets, they become twice as wide: how the metrics were
batched makes no difference.
"""

from collections.abc import Iterable
from typing import Any

# As many as a curve of the width of a table's column can show.
MAX_POINTS = 64


def extend_trace(trace: dict[str, Any] | None, losses: Iterable[tuple[int, float | None]]) -> dict[str, Any]:
    """The trace with further (step, loss), oldest first; None is the trace of a job without losses.

    A step that was there before takes away what came after it: a run that goes on from a checkpoint does those again.
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
    """Of each two neighbours the second, or the first where that is all there is."""
    pairs = [points[place : place + 2] for place in range(0, len(points), 2)]
    return [next((loss for loss in reversed(pair) if loss is not None), None) for pair in pairs]
