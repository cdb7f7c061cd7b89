"""TrainingProcess: the child process of one run, started, read from, asked to stop, ended.

It may be started before its run is known, as a spare: then it gets the path of its request later.
"""

import io
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self, cast

import structlog

from emomodel.protocol.progress import Progress, ProgressError, Ready, parse_line, write_request_line
from worker.slot import process_group
from worker.threads import make_thread

CHUNK_BYTES = 64 * 1024

# A progress line is a few hundred bytes; a longer line is not one.
MAX_LINE_BYTES = 1024**2

# After the group's end no process holds the pipes, unless one left the session: its output is dropped.
PIPE_WAIT_SECONDS = 5.0

# Linux counts in kibibytes, macOS in bytes.
RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024

log = structlog.get_logger()


class OutputLog(Protocol):
    """Takes a process's output, except its progress lines."""

    def write(self, chunk: bytes) -> None: ...


class TrainingProcess:
    """A training process, which leads its own session. Threads read its lines, so it never waits for its supervisor."""

    def __init__(
        self, argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], run_log: OutputLog
    ) -> None:
        self._log = run_log
        # Set by the line of a spare that it is ready, and by the first line of a training.
        self._ready = threading.Event()
        self._answered = threading.Event()
        self._progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._process = subprocess.Popen(  # noqa: S603  the argv is ours: no user's text is in it but as a file's content
            argv,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self.pid = self._process.pid
        # The process's own peak of resident memory; known at its end.
        self.peak_bytes: int | None = None
        # The types of Popen don't know that each requested stream exists.
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._readers = [
            make_thread(self._read_progress, args=[self._process.stdout], name="stdout"),
            make_thread(self._read_log, args=[self._process.stderr], name="stderr"),
        ]
        for reader in self._readers:
            reader.start()

    def find_progress(self, wait_seconds: float) -> Progress | None:
        """Wait for the next progress line; None if none comes in time."""
        try:
            return self._progress.get(timeout=wait_seconds) if wait_seconds else self._progress.get_nowait()
        except queue.Empty:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether the process has ended. It is not reaped, so its pid stays reserved."""
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or os.waitid(os.P_PID, self.pid, flags) is not None

    @property
    def is_ready(self) -> bool:
        """Whether a spare has reported that it has imported everything."""
        return self._ready.is_set()

    def hand_over(self, request_path: Path, run_log: OutputLog) -> None:
        """Give a spare its request. From now on its output goes to the run's log."""
        self._log = run_log
        self.ask(write_request_line(request_path))

    def has_answered(self, wait_seconds: float) -> bool:
        """Wait for the first progress line of the training; false if none comes in time."""
        return self._answered.wait(wait_seconds)

    def has_answered_before_its_end(self) -> bool:
        """Whether an ended process had reported anything of a training."""
        self._join_readers()
        return self._answered.is_set()

    def ask(self, request: str) -> None:
        """Send one of the requests of emomodel.protocol.progress."""
        try:
            self._stdin.write(f"{request}\n".encode())
        except BrokenPipeError:
            log.info("trainer_does_not_listen", pid=self.pid)

    def send_signal(self, number: signal.Signals) -> None:
        process_group.send_signal(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> int:
        """End the process and all that it started; return its exit code, negative for a signal."""
        if self._process.returncode is not None:
            return self._process.returncode
        process_group.send_signal(self.pid, signal.SIGKILL)
        exit_code = self._reap()
        process_group.kill_members(self.pid)
        self._join_readers()
        self._stdin.close()
        return exit_code

    def _join_readers(self) -> None:
        for reader in self._readers:
            reader.join(PIPE_WAIT_SECONDS)

    def _reap(self) -> int:
        """Reap as Popen.wait does, and keep the kernel's count of the process's memory."""
        _, status, usage = os.wait4(self.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_bytes = usage.ru_maxrss * RSS_UNIT_BYTES
        return self._process.returncode

    def _read_progress(self, stream: io.RawIOBase) -> None:
        with io.BufferedReader(stream) as buffered:
            while line := buffered.readline(MAX_LINE_BYTES):
                try:
                    parsed = parse_line(line)
                except ProgressError:
                    self._log.write(line)
                    continue
                if isinstance(parsed, Ready):
                    self._ready.set()
                else:
                    self._progress.put(parsed)
                    self._answered.set()

    def _read_log(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), CHUNK_BYTES):
                self._log.write(chunk)
