"""`emotune restore`: an installation from what `emotune backup` wrote."""

import sys
from pathlib import Path

from sqlalchemy import Connection

from cli.backup import describe
from cli.database import open_database
from cli.migrate import empty, upgrade
from jobs.backups.archive import Archive
from jobs.backups.restore import RestoreRefused, Schema, restore_backup
from jobs.database.schema import find_revision, get_known_schema
from jobs.files.storage import open_storage
from jobs.settings import Settings


def run_restore(settings: Settings, file: Path, *, with_digests: bool) -> None:
    """Restore the archive and print what was restored.

    Raises ArchiveUnusable, RestoreRefused, RowsRefused, MigrationRefused, DatabaseUnusable and OSError.
    """
    with Archive(file) as archive:
        check_revision(archive)
        with open_database(settings) as database:
            report = restore_backup(
                archive,
                database=database,
                storage=open_storage(settings),
                schema=Schema(make=make_schema, upgrade=upgrade),
                with_digests=with_digests,
            )
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"restored {describe(report.manifest)}")
    if report.requeued_count:
        print(f"{report.requeued_count} jobs were running when it was made; they are queued again")


def check_revision(archive: Archive) -> None:
    """Check the archive's schema. Raises RestoreRefused for an archive of a newer release."""
    manifest = archive.manifest
    if manifest.schema_revision not in get_known_schema().revisions:
        raise RestoreRefused(
            f"{archive.path} was made by a newer release, emotune {manifest.emotune_version}: its schema "
            f"{manifest.schema_revision} is not known here. Restore it with that release."
        )


def make_schema(connection: Connection, revision: str) -> None:
    """Make the tables of a revision, in a database that has no rows. Raises MigrationRefused."""
    if find_revision(connection) is not None:
        # They may be of another revision, and they are empty.
        empty(connection)
    upgrade(connection, revision)
