"""A file that is being written (IncomingFile), and a stored file that can be read (StoredContent)."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jobs.files.store import Store, StoredFile


@dataclass
class IncomingFile:
    """A file that is being written under a temporary name; its size and digest are computed as it grows."""

    path: Path
    stream: BinaryIO
    size_bytes: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def write(self, chunk: bytes) -> None:
        self.stream.write(chunk)
        self._digest.update(chunk)
        self.size_bytes += len(chunk)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def finish(self) -> Path:
        """Flush the file to the disk and close it; returns its path."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        return self.path


@dataclass(frozen=True)
class StoredContent:
    """A stored file that exists, to be read or linked to."""

    store: Store
    file: StoredFile

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes from `start` up to, not including, `end`, in pieces."""
        return self.store.read(self.file.key, start, end)

    def sign(self, seconds: float) -> str | None:
        """A link that anybody can download it from for this long; None if the store offers none."""
        return self.store.sign(self.file.key, seconds)
