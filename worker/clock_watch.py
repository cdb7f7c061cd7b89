"""ClockWatch: whether the system clock was set, so that leases seem to have expired that have not.

Leases are stored in the database as wall-clock times. When the clock is set forward, all of them expire at once; the
workers renew theirs with the next heartbeat, and until then no run may be considered dead.
"""

import time
from collections.abc import Callable

import structlog

# Clocks are adjusted by fractions of a second all the time.
TOLERANCE_SECONDS = 2.0

log = structlog.get_logger()


class ClockWatch:
    """Compares the wall clock with the monotonic clock, from call to call."""

    def __init__(
        self,
        *,
        rest_seconds: float,
        wall: Callable[[], float] = time.time,
        counted: Callable[[], float] = time.monotonic,
    ) -> None:
        """`rest_seconds`: for how long after a jump the wall clock is not trusted."""
        self._rest_seconds = rest_seconds
        self._wall = wall
        self._counted = counted
        self._last = wall(), counted()
        self._rests_until = float("-inf")

    def is_steady(self) -> bool:
        """Whether leases can be trusted: false for a while after the clock was set, or the machine slept."""
        last_wall, last_counted = self._last
        self._last = wall, counted = self._wall(), self._counted()
        step = (wall - last_wall) - (counted - last_counted)
        if abs(step) > TOLERANCE_SECONDS:
            log.warning("clock_stepped", seconds=round(step, 1))
            self._rests_until = counted + self._rest_seconds
        return counted >= self._rests_until
