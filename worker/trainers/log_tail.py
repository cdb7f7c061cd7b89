"""LogTail: the last lines of what a process writes."""

import threading

# Enough for about twenty lines of a traceback.
TAIL_BYTES = 16 * 1024
TAIL_LINES = 20


class LogTail:
    """Written by several threads."""

    def __init__(self) -> None:
        self._tail = b""
        self._lock = threading.Lock()

    def write(self, chunk: bytes) -> None:
        with self._lock:
            self._tail = (self._tail + chunk)[-TAIL_BYTES:]

    def get_last_lines(self, count: int = TAIL_LINES) -> list[str]:
        """Return the newest lines, and of a progress bar the last state."""
        with self._lock:
            text = self._tail.decode(errors="replace").replace("\x00", "")
        lines = [line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]
        return [line for line in lines if line][-count:]
