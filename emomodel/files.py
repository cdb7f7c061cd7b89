"""Files: a file's size and hash, and waiting until a file has reached the disk."""

import hashlib
import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class FileEntry(BaseModel):
    """A file's size and sha256, as the manifest of a bundle and the index of a checkpoint list them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def describe_file(path: Path) -> FileEntry:
    """Read the file at `path` and return its size and sha256. Raises OSError."""
    with path.open("rb") as stream:
        return FileEntry(size_bytes=path.stat().st_size, sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def sync(path: Path) -> None:
    """Wait until `path` is on the disk, so that it survives a power failure.

    For a file that means its content; for a folder its list of entries, as it is after a rename. Raises OSError.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
