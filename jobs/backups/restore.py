"""Restoring a backup into an empty installation, completely or not at all.

Everything is checked first. Then the rows are written in one transaction, which is committed last; the files are
written while it is open, and deleted again if anything fails.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from jobs.backups.archive import Archive
from jobs.backups.format import FileEntry, Manifest
from jobs.backups.plain_rows import RowsRefused, reflect_tables, set_sequences, write_rows
from jobs.database.engine import Database
from jobs.errors import EmotuneError, StorageUnreachable
from jobs.files.keys import make_artifact_key, make_dataset_key
from jobs.files.storage import Storage
from jobs.files.stored_files import check_content, delete_file, list_files, write_file
from jobs.models import Artifact, Dataset, Job
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import GIB
from jobs.status import FINAL_STATUSES, JobStatus

RESTORED = "installation_restored"

# How many keys an error names.
_LISTED_KEYS = 5


class RestoreRefused(EmotuneError):
    """The backup can't be restored here."""

    code = "restore_refused"


@dataclass(frozen=True)
class Schema:
    """What Alembic does: create the tables of a revision in an empty database, and upgrade them to this release."""

    make: Callable[[Connection, str], None]
    upgrade: Callable[[Connection], None]


@dataclass(frozen=True)
class RestoreReport:
    """What was restored, and what differs from the backed-up installation."""

    manifest: Manifest
    requeued_count: int
    warnings: list[str]


def restore_backup(
    archive: Archive, *, database: Database, storage: Storage, schema: Schema, with_digests: bool = False
) -> RestoreReport:
    """Restore a backup. With `with_digests`, files that are already in the storage are read and compared, too.

    Raises ArchiveUnusable, RestoreRefused, RowsRefused, SQLAlchemyError and OSError; nothing is changed then.
    """
    manifest = archive.manifest
    archive.verify()
    if manifest.has_files:
        _check_storage(storage, manifest)
        warnings = []
    else:
        warnings = _check_files(storage, manifest, with_digests=with_digests)
    with _files_undone(storage) as written, database.alter() as connection:
        _check_empty(connection)
        schema.make(connection, manifest.schema_revision)
        _write_rows(connection, archive)
        schema.upgrade(connection)
        requeued_count = _correct_rows(connection, manifest)
        for file in manifest.files if manifest.has_files else ():
            written.append(file)
            write_file(storage, file.key, archive.read_file(file))
    return RestoreReport(manifest, requeued_count, [*manifest.warnings, *warnings])


def _check_storage(storage: Storage, manifest: Manifest) -> None:
    found = [file.key for file in islice(list_files(storage), _LISTED_KEYS)]
    if found:
        raise RestoreRefused(
            f"The storage already has files, such as {', '.join(found)}. Restore into an empty one: set "
            "EMOTUNE_DATA_DIR to a new folder, or EMOTUNE_STORAGE_URL to a new prefix; or move artifacts, datasets, "
            "runs and uploads away from this one."
        )
    free_bytes = storage.get_free_bytes()
    if not storage.is_shared and free_bytes < manifest.file_bytes:
        raise RestoreRefused(
            f"The files need {manifest.file_bytes / GIB:.1f} GiB, and {free_bytes / GIB:.1f} GiB are free. Make room."
        )


def _check_files(storage: Storage, manifest: Manifest, *, with_digests: bool) -> list[str]:
    """Check that the storage is the one that a backup without files refers to; returns warnings."""
    sizes = {file.key: file.size_bytes for file in list_files(storage)}
    faults: list[str] = []
    warnings: list[str] = []
    for file in manifest.files:
        if file.key not in sizes:
            fault = "is missing"
        elif file.sha256 is None:
            # A log, a checkpoint or a part of an upload, which may have changed since.
            continue
        elif sizes[file.key] != file.size_bytes:
            fault = f"has {sizes[file.key]} bytes, not {file.size_bytes}"
        elif with_digests and not check_content(storage, file.key, file.sha256):
            fault = "has another sha256"
        else:
            continue
        (warnings if file.sha256 is None else faults).append(f"{file.key} {fault}")
    if faults:
        named = "; ".join(faults[:_LISTED_KEYS])
        raise RestoreRefused(
            f"The backup has no files, and {len(faults)} of those that it refers to are missing in the storage "
            f"or differ: {named}. Restore the storage first, from its own snapshot of that time."
        )
    return warnings


def _check_empty(connection: Connection) -> None:
    counts = {
        table.name: connection.scalar(select(func.count()).select_from(table)) or 0
        for table in reflect_tables(connection)
    }
    found = [f"{name} {count}" for name, count in counts.items() if count]
    if found:
        raise RestoreRefused(
            f"The database already has rows ({', '.join(found)}). Restore into an empty one: make a new database, and "
            "set EMOTUNE_DATABASE_URL to it; for SQLite, set EMOTUNE_DATA_DIR to a new folder."
        )


def _write_rows(connection: Connection, archive: Archive) -> None:
    tables = reflect_tables(connection)
    entries = {entry.name: entry for entry in archive.manifest.tables}
    unknown = entries.keys() - {table.name for table in tables}
    if unknown:
        raise RowsRefused(
            f"The backup has rows of {', '.join(sorted(unknown))}, a table that the schema does not have."
        )
    for table in tables:
        if table.name in entries:
            write_rows(connection, table, archive.read_rows(entries[table.name]))
    set_sequences(connection, tables)


def _correct_rows(connection: Connection, manifest: Manifest) -> int:
    """Requeue jobs that ran when the backup was made, and forget missing files; returns the number of those jobs."""
    with Session(connection) as session:
        _forget_missing(session, manifest)
        running = session.execute(
            select(Job.id, Job.attempt, Job.heartbeat_at).where(Job.status == JobStatus.RUNNING)
        ).all()
        end = RunEnd(code=RESTORED, message="The installation was restored from a backup.")
        for job_id, attempt, heartbeat_at in running:
            # The run ended with the old installation: the team must not be charged for the time until now.
            run_ends.interrupt(
                session,
                job_id=job_id,
                attempt=attempt,
                end=end,
                message="The installation was restored from a backup",
                ended_at=heartbeat_at,
            )
        # This only ends the session: the connection's transaction stays open.
        session.commit()
    return len(running)


def _forget_missing(session: Session, manifest: Manifest) -> None:
    """Remove or update the rows of files that were deleted while the backup was made."""
    missing = set(manifest.missing)
    if not missing:
        return
    needed: set[str | None] = set()
    for ids in session.execute(
        select(Job.dataset_id, Job.validation_dataset_id).where(Job.status.not_in(FINAL_STATUSES))
    ):
        needed |= set(ids)
    for dataset in session.scalars(select(Dataset)).all():
        if make_dataset_key(dataset.id) in missing and dataset.id not in needed:
            session.delete(dataset)
    for artifact in session.scalars(select(Artifact)).all():
        if make_artifact_key(artifact.job_id, artifact.filename) in missing:
            artifact.deleted_at = manifest.made_at


@contextmanager
def _files_undone(storage: Storage) -> Iterator[list[FileEntry]]:
    """A list for the files that are written in the block; if it raises, they are deleted."""
    written: list[FileEntry] = []
    try:
        yield written
    except BaseException:
        for file in written:
            with suppress(OSError, StorageUnreachable):
                delete_file(storage, file.key)
        raise
