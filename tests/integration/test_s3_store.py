"""The object store against a real S3 server: all that Storage asks of it, and what it says when the server is away."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from jobs.base_models.library import ModelLibrary
from jobs.errors import StorageUnreachable
from jobs.files.keys import make_dataset_key
from jobs.files.s3_store import RANGE_BYTES
from jobs.files.storage import Storage, open_storage
from jobs.ids import new_id
from jobs.settings import Settings
from tests.support.s3 import S3Server, run_s3, serve_parts

MIB = 1024**2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with run_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def settings(server: S3Server, tmp_path: Path) -> Settings:
    return server.make_settings(Settings(data_dir=tmp_path / "data"))


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return open_storage(settings)


def put_dataset(storage: Storage, content: bytes, *, twin_id: str | None = None) -> str:
    dataset_id = new_id("ds")
    with storage.receive() as incoming:
        incoming.write(content)
        storage.put_dataset(dataset_id, incoming, twin_id=twin_id)
    return dataset_id


@pytest.fixture(params=["whole", "parts"])
def reader(request: pytest.FixtureRequest, server: S3Server, settings: Settings) -> Iterator[Storage]:
    """The same bucket through a server that answers ranges as S3 does, and through one that doesn't."""
    if request.param == "whole":
        yield open_storage(settings)
        return
    with serve_parts(server) as endpoint:
        yield open_storage(server.make_settings(settings, storage_endpoint=endpoint))


def test_what_is_put_is_read_back_whole_and_in_parts(storage: Storage, reader: Storage) -> None:
    # More than two ranges, and than one part of the upload.
    content = os.urandom(2 * RANGE_BYTES + 3 * MIB + 17)
    dataset_id = put_dataset(storage, content)
    found = reader.open_dataset(dataset_id)
    assert found.file.size_bytes == len(content)
    assert abs(found.file.modified_at - time.time()) < 60
    for start, end in ((0, len(content)), (5, 6), (RANGE_BYTES - 1, RANGE_BYTES + 1), (len(content) - 7, len(content))):
        assert b"".join(found.read(start, end)) == content[start:end]
    assert list(storage.root.rglob("*.jsonl")) == []
    assert reader.fetch_dataset(dataset_id).read_bytes() == content


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    storage.put_note("statistics/none.json", b"")
    assert storage.read_note("statistics/none.json")[0] == b""


def test_a_file_that_is_shorter_than_expected_is_no_whole_file(storage: Storage, reader: Storage) -> None:
    storage.put_note("statistics/short.json", b"short")
    with pytest.raises((EOFError, StorageUnreachable)):
        list(reader.store.read("statistics/short.json", 0, 100))


def test_what_is_fetched_once_is_read_without_the_server(storage: Storage, server: S3Server) -> None:
    dataset_id = put_dataset(storage, b"content")
    first = storage.fetch_dataset(dataset_id)
    server.stop()
    try:
        assert storage.fetch_dataset(dataset_id) == first
        began = time.monotonic()
        with pytest.raises(StorageUnreachable, match="object store"):
            storage.store.check()
        assert time.monotonic() - began < 6
        with pytest.raises(StorageUnreachable):
            put_dataset(storage, b"more")
    finally:
        server.start()
    storage.store.check()
    assert list((storage.root / "incoming").iterdir()) == []


def test_what_is_not_there_is_not_found(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.open_dataset(new_id("ds"))
    with pytest.raises(FileNotFoundError):
        storage.fetch_dataset(new_id("ds"))
    with pytest.raises(FileNotFoundError):
        storage.lend_dataset(new_id("ds"), storage.root)
    storage.delete_dataset(new_id("ds"))
    assert storage.list_artifact_files(new_id("job")) == set()
    assert storage.list_parts(new_id("up")) == {}


def test_twins_are_copies_and_each_may_go_alone(storage: Storage) -> None:
    first = put_dataset(storage, b"content")
    second = put_dataset(storage, b"content", twin_id=first)
    third = put_dataset(storage, b"content", twin_id=new_id("ds"))
    storage.delete_dataset(first)
    assert [storage.fetch_dataset(each).read_bytes() for each in (second, third)] == [b"content"] * 2
    with pytest.raises(FileNotFoundError):
        storage.fetch_dataset(first)
    assert {second, third} <= storage.list_dataset_ids(-60, time.time())
    assert storage.list_dataset_ids(60, time.time()) == set()


def test_the_parts_of_an_upload_are_listed_in_order_and_go_together(storage: Storage) -> None:
    upload_id = new_id("up")
    for number in (10, 2, 2):
        with storage.receive() as incoming:
            incoming.write(b"x" * number)
            storage.put_part(upload_id, number, incoming)
    assert list(storage.list_parts(upload_id).items()) == [(2, 2), (10, 10)]
    assert b"".join(storage.read_part(upload_id, 10, 10)) == b"x" * 10
    assert upload_id in storage.list_upload_ids()
    storage.delete_upload(upload_id)
    assert storage.list_parts(upload_id) == {}
    assert upload_id not in storage.list_upload_ids()


def test_an_artifact_is_measured_listed_and_deleted(storage: Storage, tmp_path: Path) -> None:
    job_id, source = new_id("job"), tmp_path / "bundle.zip"
    source.write_bytes(os.urandom(MIB))
    size_bytes, _ = storage.put_artifact(job_id, "bundle-1.zip", source)
    assert size_bytes == MIB
    assert storage.list_artifact_files(job_id) == {"bundle-1.zip"}
    assert storage.fetch_artifact(job_id, "bundle-1.zip").read_bytes() == source.read_bytes()
    storage.delete_artifact(job_id, "bundle-1.zip")
    assert storage.list_artifact_files(job_id) == set()


def test_a_link_gives_the_file_to_anybody_and_no_other(storage: Storage) -> None:
    link = storage.open_dataset(put_dataset(storage, b"content")).sign(60)
    assert link is not None
    assert httpx2.get(link).content == b"content"
    for other in (link.partition("?")[0], link.replace("X-Amz-Signature=", "X-Amz-Signature=0")):
        assert httpx2.get(other).status_code in (400, 403)


def test_a_wrong_key_and_a_missing_bucket_are_told(server: S3Server, settings: Settings) -> None:
    wrong_key = open_storage(server.make_settings(settings, storage_key_id="another-key"))
    with pytest.raises(StorageUnreachable, match="InvalidAccessKeyId"):
        wrong_key.store.check()
    no_bucket = open_storage(server.make_settings(settings, storage_url="s3://nothing-here"))
    with pytest.raises(StorageUnreachable, match="NoSuchBucket"):
        no_bucket.store.check()


def test_a_run_keeps_what_it_was_lent_when_the_cache_is_cleared(server: S3Server, settings: Settings) -> None:
    storage = open_storage(server.make_settings(settings, cache_bytes=MIB))
    dataset_id = put_dataset(storage, b"x" * MIB)
    folder = storage.get_run_folder(new_id("job"), 1)
    folder.mkdir(parents=True)
    lent = storage.lend_dataset(dataset_id, folder)
    other = storage.fetch_dataset(put_dataset(storage, b"y" * MIB))
    cached = storage.root / "cache" / make_dataset_key(dataset_id)
    assert (cached.exists(), other.exists()) == (False, True)
    assert lent.read_bytes() == b"x" * MIB
    assert storage.lend_dataset(dataset_id, folder) == lent


def test_a_model_is_fetched_once_and_again_when_it_was_pushed_again(
    storage: Storage, server: S3Server, settings: Settings
) -> None:
    def get_config() -> Path:
        return Path(ModelLibrary({"gemma": "storage:gemma"}, storage).get("gemma").path) / "config.json"

    def forget_listing() -> None:
        (storage.root / "cache" / "listings" / "models" / "gemma.json").unlink()

    storage.put_note("models/gemma/config.json", b"{}")
    first = get_config()
    copied = first.stat()
    forget_listing()
    # The same copy: its time is the list's, which is more precise than the answer for one file.
    assert get_config().stat().st_ino == copied.st_ino
    server.stop()
    try:
        os.utime(storage.root / "cache" / "listings" / "models" / "gemma.json", (0, 0))
        began = time.monotonic()
        assert get_config() == first
        assert time.monotonic() - began < 6
    finally:
        server.start()
    open_storage(server.make_settings(settings, data_dir=settings.data_dir.parent / "other")).put_note(
        "models/gemma/config.json", b'{"pushed": "again"}'
    )
    forget_listing()
    assert get_config().read_bytes() == b'{"pushed": "again"}'
