"""An installation is backed up while it works, lost altogether, and brought back: every job comes to its end."""

import hashlib
import shutil
from pathlib import Path

import pytest

from cli.backup import run_backup
from cli.client import Client
from cli.credentials import Credentials
from cli.restore import run_restore
from cli.stack import Stack
from jobs.backups.archive import Archive
from jobs.backups.plain_rows import PlainRow, read_rows, reflect_tables
from jobs.database.engine import Database
from jobs.settings import Settings
from tests.support.postgres import create_database, find_postgres_binaries
from tests.support.stacks import SHORT_CONFIG, Installation

# Enough steps to be met in the middle, and few enough to be waited for.
LONG_CONFIG = SHORT_CONFIG | {"max_steps": 100, "checkpoint_every": 10}
WAITING, PAUSED, RUNNING = "waiting", "paused", "running"


def read_all(database_url: str) -> dict[str, list[PlainRow]]:
    database = Database(database_url)
    with database.engine.connect() as connection:
        rows = {table.name: list(read_rows(connection, table)) for table in reflect_tables(connection)}
    database.close()
    return rows


def download_sha256(client: Client, job_id: str, path: Path) -> str:
    client.download_artifact(job_id, "bundle", path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def second_database(postgres_server: str, tmp_path: Path) -> str:
    """An empty one of PostgreSQL."""
    binaries = find_postgres_binaries()
    assert binaries is not None
    url = create_database(binaries, postgres_server, f"restored_{tmp_path.name}".replace("-", "_"))
    return url.replace("postgresql://", "postgresql+psycopg://")


# Six trainings start one after another, and each loads its libraries.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_lost_installation_comes_back_with_all_its_jobs(
    settings: Settings, installation: Installation, second_database: str, tmp_path: Path
) -> None:
    finished = installation.submit(SHORT_CONFIG, name="finished")
    installation.wait_for_status(finished, "succeeded")
    sha256 = download_sha256(installation.client, finished, tmp_path / "before.zip")
    jobs = {PAUSED: installation.submit(LONG_CONFIG, name=PAUSED)}
    installation.wait_for_job(jobs[PAUSED], lambda job: job["checkpoint"] is not None)
    installation.client.ask_of_job(jobs[PAUSED], "pause")
    step = installation.wait_for_status(jobs[PAUSED], "paused")["checkpoint"]["step"]
    jobs |= {RUNNING: installation.submit(LONG_CONFIG, name=RUNNING)}
    jobs |= {WAITING: installation.submit(SHORT_CONFIG, name=WAITING)}
    installation.wait_for_job(jobs[RUNNING], lambda job: job["checkpoint"] is not None)
    path = tmp_path / "backup.tar"
    run_backup(settings, path, with_files=True)
    with Archive(path) as archive:
        (table,) = (table for table in archive.manifest.tables if table.name == "job")
        statuses = {row["name"]: row["status"] for row in archive.read_rows(table)}
    assert statuses == {"finished": "succeeded", PAUSED: "paused", RUNNING: "running", WAITING: "queued"}

    installation.stack.stop()
    shutil.rmtree(settings.data_dir)
    run_restore(settings, path, with_digests=False)
    _check_rows_in_postgresql(settings, path, second_database)

    # The embedded stack makes a key where none is noted; the old one is what counts.
    api_key = installation.stack.api_key
    with Stack(settings) as stack, Client(Credentials(url=stack.url, api_key=api_key)) as client:
        restored = Installation(stack, client, installation.dataset_id)
        assert download_sha256(client, finished, tmp_path / "after.zip") == sha256
        client.ask_of_job(jobs[PAUSED], "resume")
        # As their turns come.
        for name in (RUNNING, PAUSED, WAITING):
            job = restored.wait_for_status(jobs[name], "succeeded", "failed")
            assert job["status"] == "succeeded", job["error"]
            restored.check_curve(jobs[name])
        lost, resumed = client.list_runs(jobs[RUNNING])
        assert (lost["cause"], lost["error"]["code"]) == ("interruption", "installation_restored")
        assert resumed["resumed_step"] >= 10
        assert client.list_runs(jobs[PAUSED])[1]["resumed_step"] == step
        restored.end()


def _check_rows_in_postgresql(settings: Settings, path: Path, database_url: str) -> None:
    """The rows that came from SQLite are the same in PostgreSQL, and the other way round."""
    first = read_all(settings.sqlalchemy_url)
    there = settings.model_copy(update={"data_dir": settings.data_dir.with_name("there"), "database_url": database_url})
    there = Settings.model_validate(there.model_dump())
    run_restore(there, path, with_digests=False)
    second = read_all(there.sqlalchemy_url)
    assert _without_ends(second) == _without_ends(first)
    again = path.with_name("again.tar")
    run_backup(there, again, with_files=True)
    with Archive(again) as archive:
        assert archive.manifest.database == "postgresql"
    back = Settings.model_validate(settings.model_dump() | {"data_dir": settings.data_dir.with_name("back")})
    run_restore(back, again, with_digests=False)
    assert read_all(back.sqlalchemy_url) == second


def _without_ends(rows: dict[str, list[PlainRow]]) -> dict[str, list[PlainRow]]:
    """Without what the restores themselves have written at their own times."""
    events = [row | {"at": None} for row in rows["event"]]
    return rows | {"event": events}
