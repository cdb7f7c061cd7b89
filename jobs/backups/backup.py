"""Making a backup while the service runs: the rows as of one moment, then the files that they name."""

import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from emomodel.files import sync
from jobs.backups.files import WantedFiles, list_wanted, take_wanted
from jobs.backups.format import DIGEST_MEMBER, MANIFEST_MEMBER, BackupError, Manifest, TableEntry, TarWriter
from jobs.backups.plain_rows import PlainRow, read_rows, reflect_tables
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.database.schema import find_revision
from jobs.files.storage import Storage
from jobs.ids import new_id

# The archive holds private data of teams, and the hashes of API keys.
ARCHIVE_MODE = 0o600

# The fastest level, which keeps the snapshot's transaction short; metrics still shrink to an eighth.
GZIP_LEVEL = 1
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_LINES_PER_CHUNK = 500


def make_backup(
    database: Database, storage: Storage, target: Path, *, emotune_version: str, with_files: bool
) -> Manifest:
    """Write the archive; it appears only when it is complete and on the disk. Raises BackupError and OSError."""
    if target.exists():
        raise BackupError(f"{target} exists already. Choose another name, or move it away.")
    if not target.parent.is_dir():
        raise BackupError(
            f"There is no folder {target.parent}. Create it so that only the service's account can read it."
        )
    made_at = utc_now()
    with _open_partial(target) as stream:
        writer = TarWriter(stream, made_at=made_at)
        rows = _take_rows(database, writer)
        taken = take_wanted(writer, storage, rows.wanted) if with_files else list_wanted(storage, rows.wanted)
        missing = taken.find_missing(rows.wanted)
        manifest = Manifest(
            emotune_version=emotune_version,
            schema_revision=rows.revision,
            made_at=made_at,
            database=database.engine.dialect.name,
            has_files=with_files,
            tables=rows.tables,
            files=sorted(taken.entries.values(), key=lambda entry: entry.key),
            missing=missing,
            warnings=[*taken.warnings, *(f"{key} is named by a row but was not in the storage" for key in missing)],
        )
        _, sha256 = writer.add(MANIFEST_MEMBER, [manifest.model_dump_json(indent=1).encode()])
        writer.add(DIGEST_MEMBER, [f"{sha256}  {MANIFEST_MEMBER}\n".encode()])
        writer.close()
    return manifest


@contextmanager
def _open_partial(target: Path) -> Iterator[BinaryIO]:
    """A file under a temporary name that gets its own name at the end of the block; after an error it is removed."""
    path = target.with_name(f".{target.name}.{new_id('part')}")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, ARCHIVE_MODE)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        path.replace(target)
        sync(target.parent)
    finally:
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Rows:
    """The content of the snapshot, and the files that its rows name."""

    revision: str
    tables: list[TableEntry]
    wanted: WantedFiles


def _take_rows(database: Database, writer: TarWriter) -> _Rows:
    """Write all rows, as of one moment. Raises BackupError."""
    wanted = WantedFiles()
    with _open_snapshot(database) as connection:
        revision = find_revision(connection)
        if revision is None:
            raise BackupError("The database has no tables: there is nothing to back up. Check EMOTUNE_DATABASE_URL.")
        tables = []
        for table in reflect_tables(connection):
            counter = _Counter(table.name, wanted)
            lines = _to_lines(counter.pass_on(read_rows(connection, table)))
            size_bytes, sha256 = writer.add(f"rows/{table.name}.jsonl.gz", _compress(lines))
            tables.append(TableEntry(name=table.name, row_count=counter.count, size_bytes=size_bytes, sha256=sha256))
    return _Rows(revision, tables, wanted)


@contextmanager
def _open_snapshot(database: Database) -> Iterator[Connection]:
    """A read-only transaction that sees the rows as of one moment. On SQLite every transaction does."""
    engine = database.engine
    if not database.is_sqlite:
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with engine.connect() as connection, connection.begin():
        yield connection


class _Counter:
    """Counts the rows that pass through, and notes the files that they name."""

    def __init__(self, table: str, wanted: WantedFiles) -> None:
        self.count = 0
        self._table = table
        self._wanted = wanted

    def pass_on(self, rows: Iterable[PlainRow]) -> Iterator[PlainRow]:
        for row in rows:
            self.count += 1
            self._wanted.note(self._table, row)
            yield row


def _to_lines(rows: Iterable[PlainRow]) -> Iterator[bytes]:
    lines: list[str] = []
    for row in rows:
        lines.append(json.dumps(row, ensure_ascii=False, separators=(",", ":")))
        if len(lines) == _LINES_PER_CHUNK:
            yield ("\n".join(lines) + "\n").encode()
            lines.clear()
    if lines:
        yield ("\n".join(lines) + "\n").encode()


def _compress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Compress chunks in the gzip format."""
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()
