"""TrainingProcess: the child process of one run, started, read from, asked to stop, ended."""

import io
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

import structlog

from emomodel.protocol.progress import Progress, ProgressError, parse_progress
from worker.runs.log import RunLog
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


class TrainingProcess:
    """A training process, which leads its own session. Threads read its lines, so it never waits for its supervisor."""

    def __init__(self, argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], run_log: RunLog) -> None:
        self._log = run_log
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
        for reader in self._readers:
            reader.join(PIPE_WAIT_SECONDS)
        self._stdin.close()
        return exit_code

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
                    self._progress.put(parse_progress(line))
                except ProgressError:
                    self._log.write(line)

    def _read_log(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), CHUNK_BYTES):
                self._log.write(chunk)
