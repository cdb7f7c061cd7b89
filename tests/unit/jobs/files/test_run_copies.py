"""What is copied of a run's folder for other machines: complete checkpoints, the newest first, and the log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emomodel.checkpoints.index import (
    INDEX_FILE,
    list_checkpoints,
    make_checkpoint_path,
    verify_checkpoint,
    write_index,
)
from jobs.files import leftovers
from jobs.files.run_copies import RunCopies
from jobs.files.storage import LOG_FILE, Storage
from jobs.files.store import FolderStore
from jobs.ids import new_id
from tests.support.stores import BucketDouble

JOB = new_id("job")


@pytest.fixture
def bucket(tmp_path: Path) -> BucketDouble:
    return BucketDouble(tmp_path / "bucket")


@pytest.fixture
def first(tmp_path: Path, bucket: BucketDouble) -> Storage:
    return Storage(tmp_path / "first", bucket)


@pytest.fixture
def second(tmp_path: Path, bucket: BucketDouble) -> Storage:
    """The storage of another machine with the same bucket."""
    return Storage(tmp_path / "second", bucket)


def save(storage: Storage, attempt: int, step: int) -> Path:
    path = make_checkpoint_path(storage.get_checkpoint_folder(JOB, attempt), step)
    path.mkdir(parents=True)
    (path / "weights").write_bytes(b"w" * step)
    write_index(path, step=step, course="course", eval_loss=None)
    return path


def list_steps(storage: Storage, attempt: int) -> list[int]:
    return [checkpoint.step for checkpoint in list_checkpoints(storage.get_checkpoint_folder(JOB, attempt))]


def test_another_machine_gets_the_two_newest_whole_and_as_they_were(first: Storage, second: Storage) -> None:
    for step in (5, 10, 15):
        save(first, 1, step)
    assert RunCopies(first, JOB).put_checkpoints(1) == 3
    copies = RunCopies(second, JOB)
    copies.fetch_checkpoints(1)
    assert list_steps(second, 1) == [], "it is not an earlier attempt's"
    copies.fetch_checkpoints(2)
    assert list_steps(second, 1) == [15, 10]
    for checkpoint in list_checkpoints(second.get_checkpoint_folder(JOB, 1)):
        verify_checkpoint(checkpoint.path)
    assert [path for path in second.root.rglob("*") if "incoming" in path.parts and path.is_file()] == []
    copies.fetch_checkpoints(2)
    assert list_steps(second, 1) == [15, 10]


def test_of_several_attempts_the_furthest_counts(first: Storage, second: Storage) -> None:
    save(first, 1, 20)
    save(first, 2, 10)
    save(first, 3, 20)
    for attempt in (1, 2, 3):
        RunCopies(first, JOB).put_checkpoints(attempt)
    RunCopies(second, JOB).fetch_checkpoints(4)
    assert [list_steps(second, attempt) for attempt in (1, 2, 3)] == [[20], [], [20]]


def test_copies_go_with_what_they_are_copies_of(first: Storage, second: Storage, bucket: BucketDouble) -> None:
    copies = RunCopies(first, JOB)
    old, new = save(first, 1, 5), save(first, 1, 10)
    copies.put_checkpoints(1)
    (old / INDEX_FILE).unlink()
    assert copies.put_checkpoints(1) == 1
    assert {file.key.split("/")[-2] for file in bucket.list(f"runs/{JOB}/")} == {new.name}
    save(first, 2, 15)
    copies.put_checkpoints(2)
    copies.delete_checkpoints(2)
    RunCopies(second, JOB).fetch_checkpoints(3)
    assert [list_steps(second, attempt) for attempt in (1, 2)] == [[], [15]]
    copies.delete_checkpoints()
    assert list(bucket.list(f"runs/{JOB}/")) == []


def test_a_copy_without_its_index_is_none(first: Storage, second: Storage, bucket: BucketDouble) -> None:
    path = save(first, 1, 5)
    RunCopies(first, JOB).put_checkpoints(1)
    bucket.delete(f"runs/{JOB}/1/checkpoints/{path.name}/{INDEX_FILE}")
    RunCopies(second, JOB).fetch_checkpoints(2)
    assert list_steps(second, 1) == []


def test_a_log_is_read_where_it_is_written_and_elsewhere_as_it_was_copied(first: Storage, second: Storage) -> None:
    path = first.get_run_folder(JOB, 1) / LOG_FILE
    path.parent.mkdir(parents=True)
    assert second.find_log(JOB, 1) is None
    path.write_text("one\n")
    RunCopies(first, JOB).put_log(1)
    path.write_text("one\ntwo\n")
    assert first.find_log(JOB, 1) == path
    copy = second.find_log(JOB, 1)
    assert copy is not None
    assert copy.read_text() == "one\n"


def test_a_job_that_has_ended_leaves_its_log(first: Storage, bucket: BucketDouble) -> None:
    save(first, 1, 5)
    (first.get_run_folder(JOB, 1) / LOG_FILE).write_text("one\n")
    copies = RunCopies(first, JOB)
    copies.put_checkpoints(1)
    copies.put_log(1)
    assert leftovers.list_leftover_ids(first) == {JOB}
    leftovers.clear_run_folders(first, JOB)
    assert leftovers.list_leftover_ids(first) == set()
    assert [file.key for file in bucket.list(f"runs/{JOB}/")] == [f"runs/{JOB}/1/{LOG_FILE}"]


def test_a_copy_that_broke_off_is_made_whole_at_the_next_try(
    first: Storage, second: Storage, bucket: BucketDouble
) -> None:
    path = save(first, 1, 5)
    copies = RunCopies(first, JOB)
    copies.put_checkpoints(1)
    # The index is copied last, so this is the state after the store became unreachable during the copy.
    bucket.delete(f"runs/{JOB}/1/checkpoints/{path.name}/{INDEX_FILE}")
    copies.put_checkpoints(1)
    RunCopies(second, JOB).fetch_checkpoints(2)
    assert list_steps(second, 1) == [5]


def test_a_checkpoint_stays_where_a_store_takes_over_what_it_is_given(first: Storage, tmp_path: Path) -> None:
    moving = BucketDouble(tmp_path / "moving")
    moving.put = FolderStore(tmp_path / "moving").put  # type: ignore[method-assign]
    path = save(Storage(first.root, moving), 1, 5)
    RunCopies(Storage(first.root, moving), JOB).put_checkpoints(1)
    verify_checkpoint(path)


def test_a_fetch_that_breaks_off_leaves_nothing_that_breaks_the_garbage_collection(
    first: Storage, second: Storage, bucket: BucketDouble
) -> None:
    save(first, 1, 5)
    RunCopies(first, JOB).put_checkpoints(1)

    def vanish(key: str, start: int, end: int) -> Iterator[bytes]:
        folders = [path for path in (second.root / "incoming").glob("*") if path.is_dir()]
        assert folders == [], "only files are collected there"
        raise KeyboardInterrupt

    bucket.read = vanish  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        RunCopies(second, JOB).fetch_checkpoints(2)
    assert list_steps(second, 1) == []
