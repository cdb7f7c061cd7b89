"""What a backup is: a tar archive, uncompressed, in the form that any `tar` reads.

rows/<table>.jsonl.gz     the rows of a table: one JSON object a line, without the columns that are null
files/<key>               the stored files, under their keys (jobs/files/storage.py)
manifest.json             what it was made of, and all of the above with sizes and sha256
manifest.sha256           of manifest.json, as `sha256sum` writes it; the last member, so what broke off has none

Rows are no database's own form: what was SQLite may become PostgreSQL, and the other way round.
"""

import hashlib
import tarfile
from collections.abc import Iterable
from datetime import datetime
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict

from jobs.errors import EmotuneError

# Goes up when a release of before could not read what this one writes.
FORMAT_VERSION = 1
MANIFEST_MEMBER = "manifest.json"
DIGEST_MEMBER = "manifest.sha256"

# Also once it is unpacked: rows hold the hashes of keys, files what teams have written.
MEMBER_MODE = 0o600


class BackupError(EmotuneError):
    """The backup can't be made."""

    code = "backup_failed"


class ArchiveUnusable(EmotuneError):
    """The archive is damaged, or no backup at all."""

    code = "archive_unusable"


class TableEntry(BaseModel):
    """The rows of a table; size and sha256 are those of the compressed member."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    row_count: int
    size_bytes: int
    sha256: str

    @property
    def member(self) -> str:
        return f"rows/{self.name}.jsonl.gz"


class FileEntry(BaseModel):
    """A stored file. In an archive without files the sha256 is what the rows say, null where they say nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    size_bytes: int
    sha256: str | None

    @property
    def member(self) -> str:
        return f"files/{self.key}"


class Manifest(BaseModel):
    """`manifest.json`. `missing` are keys that rows name and that were not in the storage."""

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
    """Writes an archive member by member. A member's size is known when it has been written, and then put before it."""

    def __init__(self, stream: BinaryIO, *, made_at: datetime) -> None:
        self._stream = stream
        self._made_at = made_at

    def add(self, name: str, chunks: Iterable[bytes]) -> tuple[int, str]:
        """Returns the size in bytes and the sha256. What `chunks` raises leaves nothing behind."""
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
        """Where the next member will begin."""
        return self._stream.tell()

    def go_back(self, place: int) -> None:
        """Drop the members from there on."""
        self._stream.seek(place)
        self._stream.truncate()

    def close(self) -> None:
        """Two empty blocks end an archive."""
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE))

    def _make_header(self, name: str, size_bytes: int) -> bytes:
        """Of the same length for every size: GNU's form has room for the largest, and one for long names."""
        info = tarfile.TarInfo(name)
        info.size = size_bytes
        info.mtime = int(self._made_at.timestamp())
        info.mode = MEMBER_MODE
        return info.tobuf(tarfile.GNU_FORMAT)
