"""`emotune backup`: writes the installation into one archive, and checks archives."""

import sys
from pathlib import Path

from cli.database import open_database
from jobs.backups.archive import Archive
from jobs.backups.backup import make_backup
from jobs.backups.format import Manifest
from jobs.files.storage import open_storage
from jobs.release import get_release
from jobs.settings import MIB, Settings


def run_backup(settings: Settings, file: Path, *, with_files: bool) -> None:
    """Write the archive and print what is in it. Raises BackupError, DatabaseUnusable and OSError."""
    with open_database(settings) as database:
        manifest = make_backup(
            database, open_storage(settings), file, emotune_version=get_release(), with_files=with_files
        )
    for warning in manifest.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{file}: {describe(manifest)}")


def check_backup(file: Path) -> None:
    """Read an archive and print what is in it. Raises ArchiveUnusable and OSError."""
    with Archive(file) as archive:
        archive.verify()
        print(f"{file}: complete; {describe(archive.manifest)}")


def describe(manifest: Manifest) -> str:
    """Describe a backup in one line."""
    files = f"{len(manifest.files):,} files of {manifest.file_bytes / MIB:,.1f} MiB"
    made = f"made {manifest.made_at:%Y-%m-%d %H:%M} UTC by emotune {manifest.emotune_version} from {manifest.database}"
    rows = f"{manifest.row_count:,} rows of {len(manifest.tables)} tables"
    return f"{rows} and {files if manifest.has_files else f'a list of {files}'}, {made}"
