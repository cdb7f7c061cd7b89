"""Stored files by their keys: listed, read, written and deleted, and no key leads out of the storage."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.files import leftovers
from jobs.files.storage import Storage
from jobs.files.stored_files import check_content, check_key, delete_file, list_files, read_file, write_file
from jobs.ids import new_id

JOB, DATASET, UPLOAD = new_id("job"), new_id("ds"), new_id("up")
KEYS = [
    f"artifacts/{JOB}/bundle-1.zip",
    f"datasets/{DATASET}.jsonl",
    f"runs/{JOB}/1/checkpoints/checkpoint-2/weights",
    f"runs/{JOB}/1/log.txt",
    f"uploads/{UPLOAD}/1",
]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    for key in KEYS:
        write_file(storage, key, [b"one ", b"two"])
    # None of these is a finished file of ours.
    for path in ("logs/api.log", "compiled/slot-0/x", f"runs/{JOB}/1/.partial/x", "datasets/.nfs1", "emotune.db"):
        (storage.root / path).parent.mkdir(parents=True, exist_ok=True)
        (storage.root / path).touch()
    (storage.root / "datasets" / "link").symlink_to("/etc/passwd")
    return storage


def test_finished_files_are_listed_in_order_and_read(storage: Storage) -> None:
    assert [file.key for file in list_files(storage)] == KEYS
    assert {file.size_bytes for file in list_files(storage)} == {7}
    assert b"".join(read_file(storage, KEYS[0])) == b"one two"
    assert list((storage.root / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "count"),
    [("runs", 2), (f"runs/{JOB}/1/checkpoints", 1), ("datasets", 1), ("x", 0)],
    ids=["runs", "checkpoints", "datasets", "none"],
)
def test_a_folder_chooses_among_the_keys(storage: Storage, folder: str, count: int) -> None:
    found = [file.key for file in list_files(storage, [folder])]
    assert found == [key for key in KEYS if key.startswith(f"{folder}/")]
    assert len(found) == count


def test_an_empty_installation_has_no_files(tmp_path: Path) -> None:
    assert list(list_files(Storage(tmp_path / "none"))) == []


def test_a_missing_file_is_reported_before_the_first_piece(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_file(storage, f"datasets/{new_id('ds')}.jsonl"))


def test_a_write_that_breaks_off_leaves_what_was_there(storage: Storage) -> None:
    def break_off() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        write_file(storage, KEYS[0], break_off())
    assert b"".join(read_file(storage, KEYS[0])) == b"one two"


@given(st.one_of(st.text(), st.text(alphabet="./\\\x00ab-", max_size=8)), st.sampled_from(["", "datasets/", "runs/a/"]))
def test_no_key_leads_out_of_the_storage(text: str, folder: str) -> None:
    root = Path("/storage")
    try:
        check_key(folder + text)
    except ValueError:
        return
    assert (root / folder / text).resolve().is_relative_to(root / "datasets" if folder == "datasets/" else root)
    assert "\x00" not in text


def test_a_content_is_checked(storage: Storage) -> None:
    sha256 = hashlib.sha256(b"one two").hexdigest()
    assert check_content(storage, KEYS[0], sha256)
    assert not check_content(storage, KEYS[0], sha256[::-1])
    assert not check_content(storage, f"datasets/{new_id('ds')}.jsonl", sha256)


def test_files_are_deleted_by_their_keys(storage: Storage) -> None:
    for number, key in enumerate(KEYS):
        delete_file(storage, key)
        left = [file.key for file in list_files(storage)]
        assert left == [other for other in KEYS[number + 1 :] if not (key.startswith("runs/") and "runs/" in other)]


def test_what_is_left_of_runs_is_all_but_what_is_read_later(storage: Storage) -> None:
    assert leftovers.measure_run_leftovers(storage, JOB) == 7
    leftovers.clear_run_folders(storage, JOB)
    assert leftovers.measure_run_leftovers(storage, JOB) is None
    (storage.get_run_folder(JOB, 1) / "output").mkdir()
    assert leftovers.measure_run_leftovers(storage, JOB) == 0
    assert leftovers.measure_run_leftovers(storage, new_id("job")) is None
