"""RunLog: what a training process writes besides its progress lines, up to a size limit, in the run's folder."""

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from worker.trainers.log_tail import TAIL_LINES, LogTail

MIB = 1024**2
MAX_LOG_BYTES = 20 * MIB
CUT_MARK = "\n[cut here: the log has reached its limit of {limit} bytes; the run continues]\n"

log = structlog.get_logger()


class RunLog:
    """Written by several threads, at once and unbuffered, so that a reader of the file sees each line at once."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._stream = path.open("ab", buffering=0)
        self._room = max_bytes - self._stream.tell()
        self._max_bytes = max_bytes
        self._tail = LogTail()
        self._lock = threading.Lock()

    def write_heading(self, text: str) -> None:
        """Write which run the log is of. It is not among the last lines, which are those of the training process."""
        with self._lock:
            if self._room > 0:
                self._append(f"{text}\n".encode())

    def write(self, chunk: bytes) -> None:
        self._tail.write(chunk)
        with self._lock:
            if self._room > 0:
                self._append(chunk)

    def _append(self, chunk: bytes) -> None:
        try:
            self._stream.write(chunk[: self._room])
            self._room -= len(chunk)
            if self._room <= 0:
                self._stream.write(CUT_MARK.format(limit=self._max_bytes).encode())
        except OSError as error:
            # A full disk ends the log, not the reading: the training process would wait for ever on a full pipe.
            self._room = 0
            log.warning("run_log_ends", reason=str(error))

    def get_last_lines(self, count: int = TAIL_LINES) -> list[str]:
        """Return the newest lines, also beyond the size limit, and of a progress bar the last state."""
        return self._tail.get_last_lines(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
