"""A brake on training processes: while it holds, none does more than a few dozen steps."""

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

# The smallest pipe that Linux makes holds so much, and no line of a step has under 62 bytes (they have about 90).
PIPE_BYTES = 4096
# Steps that a training may have done before the full pipe holds it.
MOST_BRAKED_STEPS = 70
# How soon a change of the pause is seen.
POLL_SECONDS = 0.05


class Brake:
    """The journal of training processes as a pipe: each step writes a line, and waits while the pipe is full.

    So a training of more than MOST_BRAKED_STEPS can't end before `release`, however slow the observer is.
    A new brake holds.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Open at both ends: a process finds a reader whenever it starts, and this one never finds the end.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.variables = {VARIABLE: str(path)}
        # Between two reads of a released brake, in seconds: each makes room for PIPE_BYTES of lines. It may be changed
        # at any time; infinity holds all trainings again.
        self.pause_seconds = 0.0
        # What was read of the journal, in its order.
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
        # A writer that still waits gets the error that nobody reads any more, which the journal ignores.
        os.close(self._descriptor)

    def hold(self) -> None:
        """Let writes stay in the pipe until it is full. What was written before is read."""
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
        """Stop holding trainings back, or slow them down with a pause at each step."""
        self.pause_seconds = pause_seconds
        if self._drain is not None:
            return
        self._closing.clear()
        # A daemon, since it waits in reads.
        self._drain = threading.Thread(target=self._read_all, name="brake", daemon=True)
        self._drain.start()

    def wait_for_step(self) -> None:
        """Wait until a training has done a step."""
        self.wait_for("step")

    def wait_for(self, event: str) -> None:
        """Wait for the next line of this kind, while the brake holds."""
        while self.read_event()["event"] != event:
            pass

    def read_event(self) -> dict[str, Any]:
        """The next line, while the brake holds. No more than one line is read: an empty pipe takes as much again."""
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
