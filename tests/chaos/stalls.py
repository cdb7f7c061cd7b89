"""StallWatch: notes when the machine ran no process, or its disk was slow; both act like faults outside the plan."""

import contextlib
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.chaos.faults import Hit

MACHINE_STALLED = "machine_stalled"
WATCH_SECONDS = 0.2
# A third of the suite's lease. Anything shorter harms no run by itself.
STALL_SECONDS = 2.0


class StallWatch:
    """A context manager with a thread that repeats a tiny piece of work, and notes each round that took too long."""

    def __init__(self, path: Path) -> None:
        """`path` is a small file on the disk that the installation uses."""
        self._path = path
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)
        self.hits: list[Hit] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        with self._path.open("wb", buffering=0) as stream:
            last = time.monotonic()
            while not self._closing.wait(WATCH_SECONDS):
                # A full disk is a fault of the plan.
                with contextlib.suppress(OSError):
                    os.pwrite(stream.fileno(), b".", 0)
                    os.fsync(stream.fileno())
                now = time.monotonic()
                self.note(now - last)
                last = now

    def note(self, seconds: float) -> None:
        """Note a round that took `seconds` and has just ended, if that is long enough to count as a stall."""
        if seconds > STALL_SECONDS:
            now = time.time()
            self.hits.append(Hit(MACHINE_STALLED, now - seconds, now, None, f"for {seconds:.1f} s"))
