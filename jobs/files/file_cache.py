"""FileCache: local copies of a store's files, limited in total size; the least recently used are deleted first.

cache/<key>             the copy; its atime is when it was last used, its mtime that of the stored file
cache/.incoming/        files that are still being copied
cache/listings/         see jobs/base_models/listings.py

Several processes of a machine share it. A copy may be deleted while it is being read; open files stay readable.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from jobs.files.store import StoredFile
from jobs.ids import new_id
from jobs.settings import DAY_SECONDS

INCOMING = ".incoming"
# An incoming copy that is older was left by a process that died.
ABANDONED_SECONDS = DAY_SECONDS
# File systems round the times of files.
CLOCK_STEP_SECONDS = 1e-3
# Stores report times in seconds for a single file, and more precisely in a list.
TOLD_STEP_SECONDS = 1.0

log = structlog.get_logger()


@dataclass(frozen=True)
class CachedFile:
    path: Path
    size_bytes: int
    used_at: float


class Source(Protocol):
    """The methods of a store that the cache uses."""

    def find(self, key: str) -> StoredFile | None: ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]: ...


class FileCache:
    """`max_bytes` limits the total size of the copies; a single larger file is kept until the next one is copied."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes

    def fetch(self, source: Source, key: str, *, changes: bool = False, listed: StoredFile | None = None) -> Path:
        """The local copy of a store's file, copied if necessary; see `Store.fetch`.

        The store is not asked when there is a copy of a file that never changes, or that was listed.
        """
        file = _get(source, key) if changes else listed
        path = self.find(key, modified_at=file.modified_at if file else None)
        if path is not None:
            return path
        file = file or _get(source, key)
        pieces = source.read(key, 0, file.size_bytes) if listed is None else _read_as_listed(source, listed)
        return self.add(key, pieces, modified_at=file.modified_at)

    def find(self, key: str, *, modified_at: float | None = None) -> Path | None:
        """The copy, or None if there is none of the file as it was at `modified_at`."""
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
        """Copy a file into the cache, and delete others to make room."""
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
        """Delete copies down to the limit. A copy that a run has linked takes its space until the run has ended."""
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
                # Another process deletes copies, too.
                with suppress(FileNotFoundError):
                    found = path.stat()
                    if path.parent.name == INCOMING:
                        if found.st_mtime < abandoned_before:
                            path.unlink()
                        continue
                    yield CachedFile(path, found.st_size, found.st_atime)


def _get(source: Source, key: str) -> StoredFile:
    file = source.find(key)
    if file is None:
        raise FileNotFoundError(f"{key} is not in storage")
    return file


def _read_as_listed(source: Source, listed: StoredFile) -> Iterator[bytes]:
    """Copy the complete file. Raises FileNotFoundError, before the copy is used, if it is not the listed file."""
    gone = f"{listed.key} has been replaced in storage since it was listed"
    try:
        yield from source.read(listed.key, 0, listed.size_bytes)
    except EOFError as error:
        raise FileNotFoundError(gone) from error
    now = _get(source, listed.key)
    if now.size_bytes != listed.size_bytes or abs(now.modified_at - listed.modified_at) > TOLD_STEP_SECONDS:
        raise FileNotFoundError(gone)
