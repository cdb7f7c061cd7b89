"""Backups without servers: what a backup contains while the service keeps working."""

import json
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import event, select

from jobs.backups.files import WantedFiles, take_wanted
from jobs.backups.format import BackupError, TarWriter
from jobs.clock import utc_now
from jobs.data import uploads
from jobs.database.engine import Database
from jobs.database.schema import find_revision
from jobs.files.storage import Storage
from jobs.files.store import FolderStore, StoredFile
from jobs.models import Artifact, Dataset
from tests.support.boxes import Box, add_job, claim, fail, put
from tests.unit.conftest import AXES, TestTeam, make_dataset

CHECKPOINT = "checkpoints/checkpoint-3"


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
    assert len(manifest.warnings) == 2, "the rows of these tests have made-up hashes, and the backup reports it"
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
    with pytest.raises(BackupError, match="exists already"):
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
        """Commit a dataset and its job after the datasets were read and before the jobs are read."""
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


def test_a_dataset_that_is_deleted_meanwhile_is_reported_and_not_restored(
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
        """Deletes a checkpoint when half of it has been read, and by then has saved the next one."""

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
