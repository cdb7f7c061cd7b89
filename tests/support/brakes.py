"""A brake on training processes: none does more than a few dozen steps before it is let go on."""

import fcntl
import json
import math
import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from emomodel.journal import VARIABLE

# The smallest pipe that Linux makes holds so much, and no line of a step has under 62 bytes (they have about 90).
PIPE_BYTES = 4096
# Steps that a training may have done before the full pipe holds it.
MOST_BRAKED_STEPS = 70
# How soon a change of the pause is seen.
POLL_SECONDS = 0.05


class Brake:
    """The journal of training processes as a pipe: each step writes a line, and waits while the pipe is full.

    So a training of more than MOST_BRAKED_STEPS can't end before `release`, however slow whoever watches it is.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Open at both ends: a process finds a reader whenever it starts, and this one never finds the end.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.fcntl(self._descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.variables = {VARIABLE: str(path)}
        # Between two reads of a released brake, in seconds: each makes room for PIPE_BYTES of lines. It may be changed
        # at any time; infinity holds all trainings again.
        self.pause_seconds = 0.0
        self._closing = threading.Event()
        # A daemon, since it waits in reads.
        self._drain = threading.Thread(target=self._read_all, name="brake", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        if self._drain.ident is not None:
            os.write(self._descriptor, b"\n")
            self._drain.join()
        # Who still waits in a write is told that nobody reads any more, and the journal doesn't mind.
        os.close(self._descriptor)

    def wait_for_step(self) -> None:
        """Until a training has done its first step."""
        while json.loads(self._read_line())["event"] != "step":
            pass

    def release(self, *, pause_seconds: float = 0.0) -> None:
        """From now on nothing holds a training back; or only so that it never is faster than the pauses let it be."""
        self.pause_seconds = pause_seconds
        self._drain.start()

    def _read_line(self) -> bytes:
        """No more than the line: what is read makes room."""
        line = b""
        while not line.endswith(b"\n"):
            line += os.read(self._descriptor, 1)
        return line

    def _read_all(self) -> None:
        read_at = -math.inf
        while not self._closing.is_set():
            if time.monotonic() - read_at >= self.pause_seconds:
                os.read(self._descriptor, PIPE_BYTES)
                read_at = time.monotonic()
            else:
                self._closing.wait(POLL_SECONDS)
