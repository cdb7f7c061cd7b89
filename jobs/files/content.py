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
    """A file being written under a temporary name, measured as it grows."""

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
        """Nothing more comes: it is on the disk."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        return self.path


@dataclass(frozen=True)
class StoredContent:
    """A stored file that is there, to be read or linked to."""

    store: Store
    file: StoredFile

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes `start` to `end`, the end excluded, in pieces."""
        return self.store.read(self.file.key, start, end)

    def sign(self, seconds: float) -> str | None:
        """A link that gives it to anybody for so long, where the store can."""
        return self.store.sign(self.file.key, seconds)
