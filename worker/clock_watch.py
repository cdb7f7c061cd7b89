"""ClockWatch: whether the clock was set, so that leases seem to be over that are not.

Leases stand in the database by the clock on the wall. Where it is set forward, all of them end at once; the workers
renew theirs with the next sign of life, and until then nobody must be taken for dead.
"""

import time
from collections.abc import Callable

import structlog

# Clocks are trued by fractions of a second all the time.
TOLERANCE_SECONDS = 2.0

log = structlog.get_logger()


class ClockWatch:
    """Compares the clock on the wall with the one that only counts, from call to call."""

    def __init__(
        self,
        *,
        rest_seconds: float,
        wall: Callable[[], float] = time.time,
        counted: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rest_seconds`: how long after a step nothing is to be concluded from the wall's clock."""
        self._rest_seconds = rest_seconds
        self._wall = wall
        self._counted = counted
        self._last = wall(), counted()
        self._rests_until = float("-inf")

    def is_steady(self) -> bool:
        """False for a while after the clock was set. A machine that slept counts as one whose clock was."""
        last_wall, last_counted = self._last
        self._last = wall, counted = self._wall(), self._counted()
        step = (wall - last_wall) - (counted - last_counted)
        if abs(step) > TOLERANCE_SECONDS:
            log.warning("clock_stepped", seconds=round(step, 1))
            self._rests_until = counted + self._rest_seconds
        return counted >= self._rests_until
