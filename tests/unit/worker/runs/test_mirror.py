"""The mirror of a run copies now and then and at the end, and an unreachable store delays nothing."""

from pathlib import Path

import pytest

from emomodel.checkpoints.index import INDEX_FILE
from jobs.files.storage import LOG_FILE, Storage
from tests.support.stores import BucketDouble
from tests.support.waiting import wait_for
from tests.unit.jobs.files.test_run_copies import JOB, save
from worker.runs.mirror import open_mirror


@pytest.fixture
def bucket(tmp_path: Path) -> BucketDouble:
    return BucketDouble(tmp_path / "bucket")


@pytest.fixture
def storage(tmp_path: Path, bucket: BucketDouble) -> Storage:
    storage = Storage(tmp_path / "data", bucket)
    folder = storage.get_run_folder(JOB, 1)
    folder.mkdir(parents=True)
    (folder / LOG_FILE).write_text("begins\n")
    return storage


def list_copies(bucket: BucketDouble) -> set[str]:
    return {file.key.removeprefix(f"runs/{JOB}/1/") for file in bucket.list(f"runs/{JOB}/")}


def test_what_comes_is_copied_now_and_then(storage: Storage, bucket: BucketDouble) -> None:
    with open_mirror(storage, job_id=JOB, attempt=1, period_seconds=0.02):
        wait_for(lambda: LOG_FILE in list_copies(bucket))
        save(storage, 1, 5)
        wait_for(lambda: f"checkpoints/checkpoint-5/{INDEX_FILE}" in list_copies(bucket))


def test_what_came_last_is_copied_at_the_end(storage: Storage, bucket: BucketDouble) -> None:
    with open_mirror(storage, job_id=JOB, attempt=1, period_seconds=3600):
        save(storage, 1, 5)
        assert list_copies(bucket) == set()
    checkpoint = {f"checkpoints/checkpoint-5/{INDEX_FILE}", "checkpoints/checkpoint-5/weights"}
    assert list_copies(bucket) == checkpoint | {LOG_FILE}


def test_a_store_that_is_away_gets_it_later(storage: Storage, bucket: BucketDouble) -> None:
    bucket.is_away = True
    with open_mirror(storage, job_id=JOB, attempt=1, period_seconds=0.02):
        save(storage, 1, 5)
        bucket.is_away = False
        wait_for(lambda: f"checkpoints/checkpoint-5/{INDEX_FILE}" in list_copies(bucket))


def test_where_machines_share_the_folder_nothing_is_copied(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    save(storage, 1, 5)
    with open_mirror(storage, job_id=JOB, attempt=1, period_seconds=0.01):
        pass
    assert not (tmp_path / "incoming").exists()
