"""Brake: while it holds, no training process does more than a few dozen steps."""

import fcntl
import json
import math
import os
import select
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from emomodel.protocol.journal import VARIABLE

# The size of the smallest pipe of Linux. The line of a step has at least 62 bytes, and usually about 90.
PIPE_BYTES = 4096
# The maximum number of steps of a training before the full pipe blocks it.
MOST_BRAKED_STEPS = 70
# How soon a change of the pause takes effect.
POLL_SECONDS = 0.05


class Brake:
    """A pipe as the journal of training processes: each step writes a line, and waits while the pipe is full.

    So a training of more than MOST_BRAKED_STEPS can't end before `release`, however slow a test is. A new brake holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Open at both ends: a process always finds a reader, and this one never reads the end of the pipe.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.variables = {VARIABLE: str(path)}
        # Seconds between two reads of a released brake, each of which makes room for PIPE_BYTES of lines. This may be
        # changed at any time; infinity holds all trainings again.
        self.pause_seconds = 0.0
        # The events that were read, in their order.
        self.events: list[dict[str, Any]] = []
        self._rest = b""
        self._closing = threading.Event()
        self._drain: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hold()
        # A process that still waits in a write gets an error, since the pipe has no reader; the journal ignores it.
        os.close(self._descriptor)

    def hold(self) -> None:
        """Stop reading, so that the pipe fills up. What was written before is read."""
        if self._drain is None:
            return
        self._closing.set()
        # An empty line wakes the thread. Where there is no room for it, there is something to read.
        if select.select([], [self._descriptor], [], 0)[1]:
            os.write(self._descriptor, b"\n")
        self._drain.join()
        self._drain = None
        if select.select([self._descriptor], [], [], 0)[0]:
            self._take(os.read(self._descriptor, PIPE_BYTES))

    def release(self, *, pause_seconds: float = 0.0) -> None:
        """Read what is written. `pause_seconds` between two reads limit the speed of the trainings."""
        self.pause_seconds = pause_seconds
        if self._drain is not None:
            return
        self._closing.clear()
        # A daemon, since it may be blocked in a read when the test ends.
        self._drain = threading.Thread(target=self._read_all, name="brake", daemon=True)
        self._drain.start()

    def wait_for_step(self) -> None:
        """Wait until a training has done its first or next step."""
        self.wait_for("step")

    def wait_for(self, event: str) -> None:
        """Read events of a brake that holds, up to the next one of this kind."""
        while self.read_event()["event"] != event:
            pass

    def read_event(self) -> dict[str, Any]:
        """Read the next event of a brake that holds. Only its line is read, since that makes room for as much again."""
        count = len(self.events)
        while len(self.events) == count:
            self._take(os.read(self._descriptor, 1))
        return self.events[-1]

    def _read_all(self) -> None:
        read_at = -math.inf
        while not self._closing.is_set():
            if time.monotonic() - read_at >= self.pause_seconds:
                self._take(os.read(self._descriptor, PIPE_BYTES))
                read_at = time.monotonic()
            else:
                self._closing.wait(POLL_SECONDS)

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self.events += [json.loads(line) for line in lines if line]
