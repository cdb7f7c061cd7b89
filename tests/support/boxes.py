"""Box: an installation as a backup sees it, and what is done in one before it is backed up."""

from dataclasses import dataclass
from pathlib import Path

from cli.migrate import upgrade
from cli.restore import make_schema
from jobs.backups.archive import Archive
from jobs.backups.backup import make_backup
from jobs.backups.format import Manifest
from jobs.backups.plain_rows import read_rows, reflect_tables
from jobs.backups.restore import RestoreReport, Schema, restore_backup
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.files.stored_files import list_files, read_file, write_file
from jobs.models import Artifact, Dataset
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from tests.support.posting import post_job
from tests.unit.conftest import TestTeam

SCHEMA = Schema(make=make_schema, upgrade=upgrade)
CONTENT = b'{"messages": []}\n'


@dataclass
class Box:
    """An installation as a backup sees it."""

    database: Database
    storage: Storage

    def back_up(self, target: Path, *, with_files: bool = True) -> Manifest:
        return make_backup(self.database, self.storage, target, emotune_version="1.2.3", with_files=with_files)

    def restore(self, path: Path, *, with_digests: bool = False) -> RestoreReport:
        with Archive(path) as archive:
            return restore_backup(
                archive, database=self.database, storage=self.storage, schema=SCHEMA, with_digests=with_digests
            )

    def read_all(self) -> dict[str, list[dict[str, object]]]:
        with self.database.engine.connect() as connection:
            return {table.name: list(read_rows(connection, table)) for table in reflect_tables(connection)}

    def read_files(self) -> dict[str, bytes]:
        return {file.key: b"".join(read_file(self.storage, file.key)) for file in list_files(self.storage)}


def put(storage: Storage, key: str, content: bytes = CONTENT) -> str:
    write_file(storage, key, [content])
    return key


def add_job(box: Box, team: TestTeam, dataset: Dataset, name: str) -> str:
    with box.database.write() as session:
        job = post_job(session, dataset, team_id=team.id, name=name)
        return job.id


def claim(box: Box, slot: str) -> str:
    with box.database.write() as session:
        job = claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
        assert job is not None
        return job.id


def fail(box: Box, job_id: str) -> None:
    """End the job's run as failed, with a log as its artifact."""
    kept = Artifact(job_id=job_id, kind="log", filename="log-1.txt", media_type="x", size_bytes=17, sha256="0" * 64)
    with box.database.write() as session:
        run_ends.fail(session, job_id=job_id, attempt=1, end=RunEnd(1, "x", "x"), artifacts=[kept])
