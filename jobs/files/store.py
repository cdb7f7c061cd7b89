"""Stores: where an installation's finished files are kept, by key. This one is a folder; s3_store.py is a bucket.

A key is a relative path with slashes, such as `artifacts/job_.../bundle-1.zip`. A stored file is always complete: it
appears, is replaced and disappears atomically.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emomodel.files import sync

READ_BYTES = 256 * 1024


@dataclass(frozen=True)
class StoredFile:
    """A file of a store; `modified_at` in seconds since the epoch."""

    key: str
    size_bytes: int
    modified_at: float


class Store(Protocol):
    """What every store can do.

    All methods raise StorageUnreachable if it can't be reached, and OSError for a full disk.
    """

    def check(self) -> None:
        """Check that the store can be reached, within seconds. Raises StorageUnreachable."""

    def put(self, key: str, path: Path) -> None:
        """Store a finished file of the data folder under a key; `path` may no longer exist afterwards."""

    def copy(self, source_key: str, key: str) -> bool:
        """Give a file a second name or a second copy; False if the file is gone or the store can't do it."""

    def fetch(self, key: str, *, changes: bool = False, listed: StoredFile | None = None) -> Path:
        """A local file with the content, to be read now. Raises FileNotFoundError.

        `changes`: the file under this key is replaced from time to time. `listed`: return the file as it was listed;
        if it has been replaced since, it is not found.
        """

    def lend(self, key: str, folder: Path, *, listed: StoredFile | None = None) -> Path:
        """A local file with the content that is not deleted for as long as `folder` exists.

        Raises FileNotFoundError when the file has to be fetched and does not exist.
        """

    def find(self, key: str) -> StoredFile | None: ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes from `start` up to, not including, `end`, in pieces.

        Raises FileNotFoundError, and EOFError if the file is shorter.
        """

    def list(self, prefix: str) -> Iterator[StoredFile]:
        """All files whose key begins with `prefix`, which ends in a slash; those of a folder follow one another."""

    def list_names(self, prefix: str) -> set[str]:
        """The next part, up to a slash, of all keys that begin with `prefix`."""

    def delete(self, key: str) -> None:
        """Delete a file; no error if it does not exist."""

    def delete_all(self, prefix: str) -> None: ...

    def sign(self, key: str, seconds: float) -> str | None:
        """A URL where anybody can download the file for this long; None if the store serves no files itself."""


class FolderStore:
    """A folder of this machine, or of a disk that several machines share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def check(self) -> None:
        """Nothing to check: problems of a folder show as missing free space."""

    def put(self, key: str, path: Path) -> None:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        sync(target.parent)

    def copy(self, source_key: str, key: str) -> bool:
        """Make a hard link; not every file system supports it."""
        source, target = self._root / source_key, self._root / key
        try:
            # The garbage collector goes by this time, and the second name has no row yet.
            os.utime(source)
            target.hardlink_to(source)
        except OSError:
            return False
        sync(target.parent)
        return True

    def fetch(self, key: str, *, changes: bool = False, listed: StoredFile | None = None) -> Path:  # noqa: ARG002 - it is the file itself
        path = self._root / key
        path.stat()
        return path

    def lend(self, key: str, folder: Path, *, listed: StoredFile | None = None) -> Path:  # noqa: ARG002 - a file that is in use is not deleted here
        return self._root / key

    def find(self, key: str) -> StoredFile | None:
        try:
            return _describe(self._root / key, key)
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        return read_pieces(self._root / key, start, end)

    def list(self, prefix: str) -> Iterator[StoredFile]:
        return self._walk(self._root / prefix)

    def _walk(self, folder: Path) -> Iterator[StoredFile]:
        for entry in _list_entries(folder):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from self._walk(path)
            elif entry.is_file(follow_symlinks=False):
                # The file may be deleted meanwhile.
                with suppress(FileNotFoundError):
                    yield _describe(path, path.relative_to(self._root).as_posix())

    def list_names(self, prefix: str) -> set[str]:
        folder = self._root / prefix
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    def delete(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def delete_all(self, prefix: str) -> None:
        shutil.rmtree(self._root / prefix, ignore_errors=True)

    def sign(self, key: str, seconds: float) -> str | None:  # noqa: ARG002 - there is no server
        return None


def read_pieces(path: Path, start: int, end: int) -> Iterator[bytes]:
    """Bytes from `start` up to, not including, `end` of a file, in pieces.

    Raises FileNotFoundError, and EOFError if the file is shorter.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        left = end - start
        while left > 0:
            piece = stream.read(min(READ_BYTES, left))
            if not piece:
                raise EOFError(f"{path.name} became shorter while it was read")
            left -= len(piece)
            yield piece


def _list_entries(folder: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, by name. Names with a leading dot are partial files, or belong to the file system."""
    try:
        with os.scandir(folder) as entries:
            return sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _describe(path: Path, key: str) -> StoredFile:
    found = path.stat()
    return StoredFile(key, found.st_size, found.st_mtime)
