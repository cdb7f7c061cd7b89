"""What a walk did, a line a step, with its seconds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Report:
    """Prints each step when it is done: the seconds since the beginning, its own, and what was seen."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.step_count = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Notes in the list are printed after the title. A step that raises is reported as failed."""
        began, notes = time.monotonic(), []  # type: float, list[str]
        try:
            yield notes
        except BaseException:
            self._print("FAILED", began, title, notes)
            raise
        self.step_count += 1
        self._print("ok", began, title, notes)

    def _print(self, outcome: str, began: float, title: str, notes: list[str]) -> None:
        seen = f": {', '.join(notes)}" if notes else ""
        print(f"{self.seconds:6.1f} s  {time.monotonic() - began:+6.1f}  {outcome:<6}  {title}{seen}", flush=True)
