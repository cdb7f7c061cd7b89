"""Files are complete under their names or absent, and never outside the folder."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import DiskFull
from jobs.files import leftovers
from jobs.files.keys import make_artifact_key, make_dataset_key
from jobs.files.storage import Storage
from jobs.ids import new_id

JOB_ID = new_id("job")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


def test_what_is_received_and_moved_is_whole_and_measured(storage: Storage) -> None:
    dataset_id = new_id("ds")
    target = storage.root / make_dataset_key(dataset_id)
    with storage.receive() as incoming:
        for chunk in (b"one", b"", b"two"):
            incoming.write(chunk)
        assert not target.exists()
        storage.put_dataset(dataset_id, incoming, twin_id=None)
    assert target.read_bytes() == b"onetwo"
    assert (incoming.size_bytes, incoming.sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())
    assert list((storage.root / "incoming").iterdir()) == []


def test_what_breaks_off_leaves_nothing(storage: Storage) -> None:
    def break_off() -> None:
        with storage.receive() as incoming:
            incoming.write(b"half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_off()
    assert [path for path in storage.root.rglob("*") if path.is_file()] == []


def test_an_artifact_is_a_copy_with_its_size_and_sha256(storage: Storage, tmp_path: Path) -> None:
    source = tmp_path / "loss.png"
    source.write_bytes(b"picture")
    size_bytes, sha256 = storage.put_artifact(JOB_ID, "loss-1.png", source)
    assert (storage.root / make_artifact_key(JOB_ID, "loss-1.png")).read_bytes() == b"picture"
    assert (size_bytes, sha256) == (7, hashlib.sha256(b"picture").hexdigest())
    assert source.exists()


@given(st.text())
def test_no_id_leads_out_of_the_folder(text: str) -> None:
    root = Path("/storage")
    try:
        path = Storage(root).root / make_dataset_key(text)
    except ValueError:
        return
    assert path.parent == root / "datasets"
    assert ".." not in path.name


@given(st.one_of(st.text(), st.text(alphabet="./\\\x00ab-", max_size=6)))
def test_no_artifacts_name_leads_out_of_its_folder(text: str) -> None:
    root = Path("/storage")
    try:
        path = Storage(root).root / make_artifact_key(JOB_ID, text)
    except ValueError:
        return
    assert Path(os.path.normpath(path)).parent == root / "artifacts" / JOB_ID


def test_a_cleared_run_folder_keeps_only_what_is_read_later(storage: Storage) -> None:
    folder = storage.get_run_folder(JOB_ID, 1)
    for name in (
        "request.json",
        "log.txt",
        "metrics.jsonl",
        "bundle.zip",
        "output/adapter/weights",
        ".output.partial/x",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    leftovers.clear_run_folder(storage, JOB_ID, 1)
    assert {path.name for path in folder.iterdir()} == {"request.json", "log.txt", "metrics.jsonl"}


def test_clearing_a_run_folder_that_never_was_does_nothing(storage: Storage) -> None:
    leftovers.clear_run_folder(storage, JOB_ID, 1)
    assert not storage.get_run_folder(JOB_ID, 1).exists()


def test_only_old_incoming_files_count_as_abandoned(storage: Storage) -> None:
    assert storage.list_abandoned(100, time.time()) == []
    incoming = storage.root / "incoming"
    incoming.mkdir()
    old, new = incoming / "old", incoming / "new"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 200, time.time() - 200))
    assert storage.list_abandoned(100, time.time()) == [old]


def test_a_disk_is_reported_before_it_is_full(storage: Storage) -> None:
    storage.check_free(1)
    with pytest.raises(DiskFull):
        storage.check_free(storage.get_free_bytes() * 1000)
