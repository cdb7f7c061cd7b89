"""Backups without servers: made, checked, restored, and refused."""

import json
import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import event, select, text

from cli.migrate import upgrade
from cli.restore import check_revision, make_schema
from emomodel.config import TrainConfig
from jobs import claims, run_ends, service, uploads
from jobs.backup import make_backup
from jobs.backup_archive import Archive
from jobs.backup_files import WantedFiles, take_wanted
from jobs.backup_format import ArchiveUnusable, BackupError, Manifest, TarWriter
from jobs.clock import utc_now
from jobs.database import Database
from jobs.models import Artifact, Dataset, Event, Job, Run, Team
from jobs.plain_rows import read_rows, reflect_tables
from jobs.restore import RestoreRefused, RestoreReport, Schema, restore_backup
from jobs.run_ends import RunEnd
from jobs.schema import find_revision
from jobs.settings import Settings
from jobs.status import JobStatus
from jobs.storage import Storage
from jobs.store import FolderStore, StoredFile
from jobs.stored_files import list_files, read_file, write_file
from tests.unit.conftest import AXES, TestTeam, make_dataset

SCHEMA = Schema(make=make_schema, upgrade=upgrade)
CONTENT = b'{"messages": []}\n'
CHECKPOINT = "checkpoints/checkpoint-3"


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


@pytest.fixture
def box(database: Database, settings: Settings) -> Box:
    return Box(database, Storage(settings.data_dir))


@pytest.fixture
def other_box(tmp_path: Path) -> Iterator[Box]:
    """An empty one, without tables."""
    database = Database(f"sqlite:///{tmp_path / 'other' / 'emotune.db'}")
    yield Box(database, Storage(tmp_path / "other"))
    database.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


def put(storage: Storage, key: str, content: bytes = CONTENT) -> str:
    write_file(storage, key, [content])
    return key


def add_job(box: Box, team: TestTeam, dataset: Dataset, name: str) -> str:
    with box.database.write() as session:
        job, _ = service.create_job(
            session,
            team_id=team.id,
            name=name,
            priority=0,
            base_model="tiny-gemma",
            dataset=dataset,
            config=TrainConfig(),
        )
        return job.id


def claim(box: Box, slot: str) -> str:
    with box.database.write() as session:
        job = claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
        assert job is not None
        return job.id


def fail(box: Box, job_id: str) -> None:
    """With a log as its artifact."""
    kept = Artifact(job_id=job_id, kind="log", filename="log-1.txt", media_type="x", size_bytes=17, sha256="0" * 64)
    with box.database.write() as session:
        run_ends.fail(session, job_id=job_id, attempt=1, end=RunEnd(1, "x", "x"), artifacts=[kept])


def test_rows_and_the_files_that_they_name_come_back_as_they_were(
    box: Box, other_box: Box, team: TestTeam, dataset: Dataset, target: Path
) -> None:
    ended = add_job(box, team, dataset, "häufig 🙂")
    assert claim(box, "slot-0") == ended
    fail(box, ended)
    waiting = add_job(box, team, dataset, "waits")
    with box.database.write() as session:
        upload = uploads.create_upload(
            session,
            team_id=team.id,
            name="parts",
            axes=AXES,
            mapping=None,
            size_bytes=None,
            sha256=None,
            expire_seconds=60,
        ).id
    kept = {
        put(box.storage, f"datasets/{dataset.id}.jsonl"),
        put(box.storage, f"artifacts/{ended}/log-1.txt"),
        put(box.storage, f"uploads/{upload}/1"),
        put(box.storage, f"runs/{ended}/1/log.txt", b""),
        put(box.storage, f"runs/{waiting}/1/{CHECKPOINT}/weights"),
        put(box.storage, f"runs/{waiting}/1/{CHECKPOINT}/checkpoint.json"),
    }
    for left_out in (
        f"datasets/{dataset.id}.copy",
        f"artifacts/{ended}/bundle-7.zip",
        f"artifacts/{waiting}/bundle-1.zip",
        f"runs/{ended}/1/{CHECKPOINT}/weights",
        f"runs/{waiting}/1/output/weights",
        f"uploads/{upload[:-1]}x/1",
    ):
        put(box.storage, left_out)
    manifest = box.back_up(target)
    assert {file.key for file in manifest.files} == kept
    assert len(manifest.warnings) == 2, "the rows of these tests have made-up hashes, and it says so"
    with box.database.engine.connect() as connection:
        assert manifest.schema_revision == find_revision(connection)
    report = other_box.restore(target)
    assert (report.requeued_count, report.warnings) == (0, manifest.warnings)
    assert other_box.read_all() == box.read_all()
    assert other_box.read_files() == {key: box.read_files()[key] for key in kept}


def test_an_archive_is_for_its_owner_and_any_tar_reads_it(box: Box, team: TestTeam, target: Path) -> None:
    box.back_up(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as archive:
        names = archive.getnames()
        stream = archive.extractfile("manifest.json")
        assert stream is not None
        manifest = json.load(stream)
    assert names[-2:] == ["manifest.json", "manifest.sha256"]
    assert {table["name"]: table["row_count"] for table in manifest["tables"]}["api_key"] == 1
    assert sorted(path.name for path in target.parent.glob("*backup.tar*")) == ["backup.tar"]


def test_a_backup_replaces_nothing_and_leaves_nothing_when_it_breaks_off(
    box: Box, dataset: Dataset, target: Path
) -> None:
    target.write_text("precious")
    with pytest.raises(BackupError, match="is there already"):
        box.back_up(target)
    assert target.read_text() == "precious"
    with pytest.raises(BackupError, match="There is no folder"):
        box.back_up(target.parent / "none" / "x.tar")
    put(box.storage, f"datasets/{dataset.id}.jsonl")

    class Broken(FolderStore):
        def read(self, key: str, start: int, end: int) -> Iterator[bytes]:  # noqa: ARG002
            yield b"half"
            raise PermissionError(key)

    broken = Box(box.database, Storage(box.storage.root, Broken(box.storage.root)))
    with pytest.raises(PermissionError):
        broken.back_up(target.with_name("second.tar"))
    assert [path.name for path in target.parent.iterdir() if "second" in path.name] == []


def test_a_database_without_tables_has_nothing_to_back_up(other_box: Box, target: Path) -> None:
    with pytest.raises(BackupError, match="no tables"):
        other_box.back_up(target)
    assert not target.exists()


def test_the_rows_are_those_of_one_moment(box: Box, team: TestTeam, target: Path) -> None:
    late: list[str] = []

    def meddle(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        """Commit a dataset and its job after the datasets were read, and before the jobs are."""
        if "FROM job " in statement and not late:
            other = Box(Database(str(box.database.engine.url)), box.storage)
            late.append("")
            late[0] = add_job(other, team, make_dataset(other.database, team, "late"), "late")
            other.database.close()

    event.listen(box.database.engine, "before_cursor_execute", meddle)
    manifest = box.back_up(target)
    counts = {table.name: table.row_count for table in manifest.tables}
    assert (counts["dataset"], counts["job"], counts["event"]) == (0, 0, 0)
    assert [row["id"] for row in box.read_all()["job"]] == late


def test_a_dataset_that_is_deleted_meanwhile_is_told_and_not_restored(
    box: Box, other_box: Box, team: TestTeam, dataset: Dataset, target: Path
) -> None:
    kept = make_dataset(box.database, team, "kept")
    put(box.storage, f"datasets/{kept.id}.jsonl")
    job_id = add_job(box, team, kept, "ended")
    claim(box, "slot-0")
    fail(box, job_id)
    manifest = box.back_up(target)
    assert manifest.missing == [f"artifacts/{job_id}/log-1.txt", f"datasets/{dataset.id}.jsonl"]
    assert any(dataset.id in warning and "was not in the storage" in warning for warning in manifest.warnings)
    other_box.restore(target)
    with other_box.database.read() as session:
        assert session.scalars(select(Dataset.id)).all() == [kept.id]
        assert session.get_one(Artifact, (job_id, "log")).deleted_at == manifest.made_at


def test_a_checkpoint_that_vanishes_is_left_out_whole_and_its_successor_taken(tmp_path: Path) -> None:
    job_id = "job_" + "0" * 26
    folder = f"runs/{job_id}/1/checkpoints"

    class Moving(FolderStore):
        """Deletes a checkpoint when half of it has been read, and has then saved the next."""

        def find(self, key: str) -> StoredFile | None:
            if key.endswith("checkpoint-1/b"):
                shutil.rmtree(storage.root / folder / "checkpoint-1")
                put(storage, f"{folder}/checkpoint-2/a")
                put(storage, f"{folder}/checkpoint-2/b")
            return super().find(key)

    storage = Storage(tmp_path / "data", Moving(tmp_path / "data"))
    put(storage, f"{folder}/checkpoint-1/a")
    put(storage, f"{folder}/checkpoint-1/b")

    wanted = WantedFiles()
    wanted.note("job", {"id": job_id, "status": "running"})
    path = tmp_path / "x.tar"
    with path.open("w+b") as stream:
        writer = TarWriter(stream, made_at=utc_now())
        taken = take_wanted(writer, storage, wanted)
        writer.close()
    expected = [f"{folder}/checkpoint-2/a", f"{folder}/checkpoint-2/b"]
    assert sorted(taken.entries) == expected
    with tarfile.open(path) as archive:
        assert archive.getnames() == [f"files/{key}" for key in expected]


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
        service.add_event(session, job_id=job_id, attempt=1, kind="x", message="its id is a new one")


@pytest.fixture
def archive_path(box: Box, team: TestTeam, dataset: Dataset, target: Path) -> Path:
    put(box.storage, f"datasets/{dataset.id}.jsonl")
    box.back_up(target)
    return target


def test_a_restore_needs_an_empty_database(box: Box, archive_path: Path, tmp_path: Path) -> None:
    elsewhere = Box(box.database, Storage(tmp_path / "empty"))
    with pytest.raises(RestoreRefused, match=r"has rows already \(.*team 1.*EMOTUNE_DATABASE_URL"):
        elsewhere.restore(archive_path)
    assert elsewhere.read_files() == {}


def test_a_restore_needs_an_empty_storage(other_box: Box, archive_path: Path, dataset: Dataset) -> None:
    key = put(other_box.storage, f"datasets/{dataset.id}.jsonl", b"another")
    with pytest.raises(RestoreRefused, match=f"has files already, such as {key}.*EMOTUNE_DATA_DIR"):
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


def test_an_archive_in_a_newer_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    with path.open("w+b") as stream:
        writer = TarWriter(stream, made_at=utc_now())
        _, sha256 = writer.add("manifest.json", [b'{"format_version": 2, "emotune_version": "9.0"}'])
        writer.add("manifest.sha256", [f"{sha256}  manifest.json\n".encode()])
        writer.close()
    with pytest.raises(ArchiveUnusable, match=r"made by emotune 9\.0"):
        Archive(path)


@given(place=st.integers(0, 10**9))
@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_changed_byte_is_found_wherever_it_matters(archive_path: Path, place: int) -> None:
    whole = archive_path.read_bytes()
    with Archive(archive_path) as archive:
        archive.verify()
    with tarfile.open(archive_path) as tar:
        spans = [(member.offset_data, member.size) for member in tar if member.size]
    start, size = spans[place % len(spans)]
    changed = bytearray(whole)
    # The name behind the digest is for `sha256sum` alone.
    changed[start + place % min(size, 64)] ^= 0x04
    path = archive_path.with_name("changed.tar")
    path.write_bytes(changed)
    with pytest.raises(ArchiveUnusable, match="is damaged"), Archive(path) as archive:
        archive.verify()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_an_archive_that_was_cut_off_is_refused(archive_path: Path, other_box: Box, share: float) -> None:
    os.truncate(archive_path, int(archive_path.stat().st_size * share))
    with pytest.raises(ArchiveUnusable):
        other_box.restore(archive_path)
    assert other_box.read_all() == {}


def test_what_is_no_archive_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(b"hello" * 1000)
    with pytest.raises(ArchiveUnusable, match="no tar archive"):
        Archive(path)


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
