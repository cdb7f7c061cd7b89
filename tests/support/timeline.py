"""Timeline: what happens when, in one thread, so that no fault has to be locked against another."""

import heapq
import itertools
import time
from collections.abc import Callable

Action = Callable[[], None]

# A longer sleep would keep Ctrl-C and what others plan waiting.
MAX_SLEEP_SECONDS = 0.1


class Timeline:
    """Planned actions, each done once its time has come. Seconds count from the making of the timeline."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._counter = itertools.count()
        self._planned: list[tuple[float, int, Action]] = []

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    def at(self, seconds: float, action: Action) -> None:
        heapq.heappush(self._planned, (seconds, next(self._counter), action))

    def after(self, seconds: float, action: Action) -> None:
        self.at(self.now + seconds, action)

    def every(self, seconds: float, action: Action) -> None:
        """Do an action repeatedly, the first time at once."""

        def repeat() -> None:
            action()
            self.after(seconds, repeat)

        self.after(0, repeat)

    def run_until(self, seconds: float, *, stop_when: Callable[[], bool] = lambda: False) -> bool:
        """Do what is due until the time is reached or `stop_when` holds; returns whether it held."""
        while self.now < seconds:
            while self._planned and self._planned[0][0] <= self.now:
                heapq.heappop(self._planned)[2]()
            if stop_when():
                return True
            until = min(seconds, self._planned[0][0] if self._planned else seconds)
            time.sleep(min(max(until - self.now, 0), MAX_SLEEP_SECONDS))
        return stop_when()
