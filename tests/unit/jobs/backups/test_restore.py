"""Restoring without servers: which targets and archives are accepted, and what happens to jobs that were running."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cli.migrate import upgrade
from cli.restore import check_revision
from jobs import records
from jobs.backups.archive import Archive
from jobs.backups.restore import RestoreRefused
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.files.store import FolderStore
from jobs.models import Dataset, Event, Job, Run, Team
from jobs.status import JobStatus
from tests.support.boxes import Box, add_job, claim, put
from tests.unit.conftest import TestTeam


def test_a_job_that_ran_is_queued_again_and_its_team_pays_only_until_the_backup(
    box: Box, other_box: Box, team: TestTeam, dataset: Dataset, target: Path
) -> None:
    put(box.storage, f"datasets/{dataset.id}.jsonl")
    job_id = add_job(box, team, dataset, "runs")
    claim(box, "slot-0")
    began = utc_now() - timedelta(days=3)
    with box.database.write() as session:
        job, run = session.get_one(Job, job_id), session.get_one(Run, (job_id, 1))
        run.started_at, job.heartbeat_at = began, began + timedelta(seconds=100)
    box.back_up(target)
    assert other_box.restore(target).requeued_count == 1
    with other_box.database.write() as session:
        job, run = session.get_one(Job, job_id), session.get_one(Run, (job_id, 1))
        assert (job.status, job.slot, job.attempt) == (JobStatus.QUEUED, None, 1)
        assert (run.cause, run.error_code, run.slot_seconds) == ("interruption", "installation_restored", 100.0)
        assert session.get_one(Team, team.id).usage_seconds < 100
        last = session.scalars(select(Event).order_by(Event.id.desc())).first()
        assert last is not None
        assert (last.kind, "restored from a backup" in last.message) == ("requeued", True)
        records.add_event(session, job_id=job_id, attempt=1, kind="x", message="its id is a new one")


def test_a_restore_needs_an_empty_database(box: Box, archive_path: Path, tmp_path: Path) -> None:
    elsewhere = Box(box.database, Storage(tmp_path / "empty"))
    with pytest.raises(RestoreRefused, match=r"already has rows \(.*team 1.*EMOTUNE_DATABASE_URL"):
        elsewhere.restore(archive_path)
    assert elsewhere.read_files() == {}


def test_a_restore_needs_an_empty_storage(other_box: Box, archive_path: Path, dataset: Dataset) -> None:
    key = put(other_box.storage, f"datasets/{dataset.id}.jsonl", b"another")
    with pytest.raises(RestoreRefused, match=f"already has files, such as {key}.*EMOTUNE_DATA_DIR"):
        other_box.restore(archive_path)
    assert other_box.read_files() == {key: b"another"}
    assert other_box.read_all() == {}


def test_a_restore_that_fails_at_the_last_file_leaves_nothing(other_box: Box, archive_path: Path) -> None:
    class Full(FolderStore):
        def put(self, key: str, path: Path) -> None:
            super().put(key, path)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        Box(other_box.database, Storage(other_box.storage.root, Full(other_box.storage.root))).restore(archive_path)
    assert other_box.read_all() == {}
    assert other_box.read_files() == {}
    other_box.restore(archive_path)


def test_a_restore_takes_tables_that_are_there_and_empty(box: Box, other_box: Box, archive_path: Path) -> None:
    with other_box.database.engine.begin() as connection:
        upgrade(connection)
    other_box.restore(archive_path)
    assert other_box.read_all() == box.read_all()


def test_an_archive_of_an_earlier_release_is_restored_into_this_one(other_box: Box, tmp_path: Path) -> None:
    old = Box(Database(f"sqlite:///{tmp_path / 'old' / 'emotune.db'}"), Storage(tmp_path / "old"))
    with old.database.engine.begin() as connection:
        upgrade(connection, "439641e491cb")
        connection.execute(text("INSERT INTO team VALUES ('team_1', 'reds', '2026-11-22 10:00:00.000000')"))
        connection.execute(text("INSERT INTO slot VALUES ('slot-0', 'cpu', 'box', '2026-11-22 10:00:00.000000')"))
    old.back_up(tmp_path / "old.tar")
    old.database.close()
    other_box.restore(tmp_path / "old.tar")
    with other_box.database.read() as session:
        team = session.get_one(Team, "team_1")
    assert (team.name, team.weight, team.created_at.isoformat()) == ("reds", 1.0, "2026-11-22T10:00:00+00:00")


def test_an_archive_of_a_newer_release_is_refused(box: Box, archive_path: Path, tmp_path: Path) -> None:
    with box.database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'fedcba987654'"))
    box.back_up(tmp_path / "newer.tar")
    with (
        Archive(tmp_path / "newer.tar") as archive,
        pytest.raises(RestoreRefused, match=r"newer release, emotune 1\.2\.3"),
    ):
        check_revision(archive)
    with Archive(archive_path) as archive:
        check_revision(archive)


def test_without_files_the_storage_has_to_be_as_the_manifest_says(
    box: Box, other_box: Box, team: TestTeam, dataset: Dataset, target: Path
) -> None:
    job_id = add_job(box, team, dataset, "waits")
    key = put(box.storage, f"datasets/{dataset.id}.jsonl", b"x" * dataset.size_bytes)
    log = put(box.storage, f"runs/{job_id}/1/log.txt")
    manifest = box.back_up(target, with_files=False)
    assert {file.key: file.sha256 for file in manifest.files} == {key: dataset.sha256, log: None}
    assert manifest.warnings == []
    with pytest.raises(RestoreRefused, match=f"{key} is missing"):
        other_box.restore(target)
    put(other_box.storage, key, b"short")
    with pytest.raises(RestoreRefused, match=f"{key} has 5 bytes, not {dataset.size_bytes}"):
        other_box.restore(target)
    put(other_box.storage, key, b"y" * dataset.size_bytes)
    with pytest.raises(RestoreRefused, match=f"{key} has another sha256"):
        other_box.restore(target, with_digests=True)
    report = other_box.restore(target)
    assert report.warnings == [f"{log} is missing"]
    assert other_box.read_all() == box.read_all()
