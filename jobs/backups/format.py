"""The format of a backup: an uncompressed tar archive that any `tar` can read.

rows/<table>.jsonl.gz     the rows of a table: one JSON object a line, without the columns that are null
files/<key>               the stored files, under their keys (jobs/files/storage.py)
manifest.json             what it was made of, and all of the above with sizes and sha256
manifest.sha256           of manifest.json, as `sha256sum` writes it; the last member, so what broke off has none

Rows are stored independently of the database: a backup of SQLite can be restored to PostgreSQL, and vice versa.
"""

import hashlib
import tarfile
from collections.abc import Iterable
from datetime import datetime
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict

from jobs.errors import EmotuneError

# Increased when earlier releases can't read what this one writes.
FORMAT_VERSION = 1
MANIFEST_MEMBER = "manifest.json"
DIGEST_MEMBER = "manifest.sha256"

# Applies when it is unpacked, too: rows hold the hashes of API keys, files the private data of teams.
MEMBER_MODE = 0o600


class BackupError(EmotuneError):
    """The backup can't be created."""

    code = "backup_failed"


class ArchiveUnusable(EmotuneError):
    """The archive is damaged, or is not a backup."""

    code = "archive_unusable"


class TableEntry(BaseModel):
    """The entry of a table's rows; size and SHA-256 are those of the compressed member."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    row_count: int
    size_bytes: int
    sha256: str

    @property
    def member(self) -> str:
        return f"rows/{self.name}.jsonl.gz"


class FileEntry(BaseModel):
    """The entry of a stored file. In an archive without files the SHA-256 comes from the rows, or is null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    size_bytes: int
    sha256: str | None

    @property
    def member(self) -> str:
        return f"files/{self.key}"


class Manifest(BaseModel):
    """The content of `manifest.json`. `missing` are keys that rows name but that were not in the storage."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    emotune_version: str
    schema_revision: str
    made_at: datetime
    database: str
    has_files: bool
    tables: list[TableEntry]
    files: list[FileEntry]
    missing: list[str]
    warnings: list[str]

    @property
    def row_count(self) -> int:
        return sum(table.row_count for table in self.tables)

    @property
    def file_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


class TarWriter:
    """Writes an archive member by member. The size of a member is written into its header after the member itself."""

    def __init__(self, stream: BinaryIO, *, made_at: datetime) -> None:
        self._stream = stream
        self._made_at = made_at

    def add(self, name: str, chunks: Iterable[bytes]) -> tuple[int, str]:
        """Add a member; returns its size in bytes and its SHA-256. If `chunks` raises, the member is removed."""
        start = self.get_place()
        size_bytes, digest = 0, hashlib.sha256()
        try:
            self._stream.write(self._make_header(name, 0))
            for chunk in chunks:
                self._stream.write(chunk)
                digest.update(chunk)
                size_bytes += len(chunk)
        except BaseException:
            self.go_back(start)
            raise
        self._stream.write(bytes(-size_bytes % tarfile.BLOCKSIZE))
        end = self.get_place()
        self._stream.seek(start)
        self._stream.write(self._make_header(name, size_bytes))
        self._stream.seek(end)
        return size_bytes, digest.hexdigest()

    def get_place(self) -> int:
        """The position of the next member."""
        return self._stream.tell()

    def go_back(self, place: int) -> None:
        """Remove the members from this position on."""
        self._stream.seek(place)
        self._stream.truncate()

    def close(self) -> None:
        """Write the two empty blocks that end an archive."""
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE))

    def _make_header(self, name: str, size_bytes: int) -> bytes:
        """A header whose length does not depend on `size_bytes`: GNU's format has room for any size."""
        info = tarfile.TarInfo(name)
        info.size = size_bytes
        info.mtime = int(self._made_at.timestamp())
        info.mode = MEMBER_MODE
        return info.tobuf(tarfile.GNU_FORMAT)
