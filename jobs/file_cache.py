"""FileCache: copies of a store's files on this machine, bounded in size; what was used longest ago goes first.

cache/<key>             the copy; its atime is when it was last asked for, its mtime that of the stored file
cache/.incoming/        what is still being copied

Several processes of a machine share it. A copy may go while it is being read: whoever has opened it reads on.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from jobs.ids import new_id
from jobs.settings import DAY_SECONDS

INCOMING = ".incoming"
# A copy that is older, and still incoming, was left by a process that died.
ABANDONED_SECONDS = DAY_SECONDS
# File systems round a file's time.
CLOCK_STEP_SECONDS = 1e-3

log = structlog.get_logger()


@dataclass(frozen=True)
class CachedFile:
    path: Path
    size_bytes: int
    used_at: float


class FileCache:
    """`max_bytes` of copies; a single larger one is kept until the next comes."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def find(self, key: str, *, modified_at: float | None = None) -> Path | None:
        """The copy, if there is one, and if it is of the file as it was at `modified_at`."""
        path = self._root / key
        try:
            found = path.stat()
            if modified_at is not None and abs(found.st_mtime - modified_at) > CLOCK_STEP_SECONDS:
                return None
            os.utime(path, (time.time(), found.st_mtime))
        except FileNotFoundError:
            return None
        return path

    def add(self, key: str, pieces: Iterator[bytes], *, modified_at: float) -> Path:
        """Copy a file in, and clear others away for it."""
        incoming = self._root / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        partial, path = incoming / new_id("part"), self._root / key
        try:
            with partial.open("wb") as stream:
                stream.writelines(pieces)
            os.utime(partial, (time.time(), modified_at))
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        self._clear_out(path)
        return path

    def forget(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def _clear_out(self, newest: Path) -> None:
        """Down to the bound. A copy that a run has lent for itself takes its room until the run is over."""
        files = sorted(self._list(), key=lambda file: file.used_at)
        excess_bytes = sum(file.size_bytes for file in files) - self._max_bytes
        for file in files:
            if excess_bytes <= 0:
                return
            if file.path != newest:
                log.info("cached_file_deleted", path=str(file.path), size_bytes=file.size_bytes)
                file.path.unlink(missing_ok=True)
                excess_bytes -= file.size_bytes

    def _list(self) -> Iterator[CachedFile]:
        abandoned_before = time.time() - ABANDONED_SECONDS
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder) / name
                # Another process clears, too.
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if path.parent.name == INCOMING:
                        if found.st_mtime < abandoned_before:
                            path.unlink()
                        continue
                    yield CachedFile(path, found.st_size, found.st_atime)
