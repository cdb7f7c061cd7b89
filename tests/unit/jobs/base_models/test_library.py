"""The operator's list of base models, and how their files come to a machine."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import CliError
from cli.models import list_pushed_files, push_model
from jobs.base_models.library import ModelLibrary
from jobs.base_models.listings import ASK_AGAIN_SECONDS
from jobs.errors import BaseModelMissing, BaseModelUnknown, StorageUnreachable
from jobs.files.storage import Storage
from jobs.files.store import StoredFile
from tests.support.stores import BucketDouble

STORED = {"gemma": "storage:gemma-3"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "gemma"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model-1.safetensors").write_bytes(b"12345")
    (folder / "model-2.safetensors").write_bytes(b"123")
    (folder / "pytorch_model.bin").write_bytes(b"pickled")
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "data")


class CountingBucket(BucketDouble):
    """Counts how often its files were listed, may be unreachable, and may be changed while a file is being read."""

    listed_count = 0
    missed_count = 0
    changing_key: str | None = None

    def check(self) -> None:
        self.missed_count += self.is_away
        super().check()

    def list(self, prefix: str) -> Iterator[StoredFile]:
        self.listed_count += 1
        return super().list(prefix)

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        yield from super().read(key, start, end)
        if key == self.changing_key:
            self.changing_key = None
            replace(self, key, b"replaced while it was read")


def replace(bucket: BucketDouble, key: str, content: bytes) -> None:
    """With a time that a store would tell another by."""
    source = bucket.root / "replacement"
    source.write_bytes(content)
    later = time.time() + 5
    os.utime(source, (later, later))
    source.rename(bucket.root / key)


@pytest.fixture
def bucket(tmp_path: Path) -> CountingBucket:
    return CountingBucket(tmp_path / "bucket")


@pytest.fixture
def shared(tmp_path: Path, bucket: CountingBucket, folder: Path) -> Storage:
    """Of a machine whose base model is in a bucket."""
    storage = Storage(tmp_path / "data", bucket)
    push_model(storage, "gemma-3", list_pushed_files(folder))
    bucket.listed_count = 0
    return storage


def let_time_pass(storage: Storage) -> None:
    """Until the store is asked again."""
    (kept,) = (storage.root / "cache" / "listings").rglob("*.json")
    earlier = time.time() - ASK_AGAIN_SECONDS - 1
    os.utime(kept, (earlier, earlier))


def read_config(storage: Storage) -> str:
    return (Path(ModelLibrary(STORED, storage).get("gemma").path) / "config.json").read_text()


def test_a_folder_is_known_by_its_config(folder: Path, storage: Storage) -> None:
    library = ModelLibrary({"gemma": str(folder)}, storage)
    model = library.get("gemma")
    assert (model.is_folder, model.is_available, model.size_bytes) == (True, True, 8)
    assert library.lend("gemma", folder) == model
    (folder / "config.json").unlink()
    with pytest.raises(BaseModelMissing) as missing:
        library.get("gemma")
    assert missing.value.field == "base_model"
    assert [is_available for _, is_available in library.list_all()] == [False]


@pytest.mark.parametrize("path", ["/not/there", "./not-there", "~/not-there"])
def test_what_looks_like_a_path_is_no_hub_id(path: str, storage: Storage) -> None:
    with pytest.raises(BaseModelMissing):
        ModelLibrary({"gemma": path}, storage).get("gemma")


def test_a_hub_id_is_taken_on_trust(storage: Storage) -> None:
    model = ModelLibrary({"gemma": "google/gemma-3-270m"}, storage).get("gemma")
    assert (model.is_folder, model.is_available, model.size_bytes) == (False, True, None)


def test_an_unknown_name_is_told_the_known_ones(storage: Storage) -> None:
    with pytest.raises(BaseModelUnknown, match="a, b"):
        ModelLibrary({"a": "x/a", "b": "x/b"}, storage).get("c")
    with pytest.raises(BaseModelUnknown, match="EMOTUNE_BASE_MODELS"):
        ModelLibrary({}, storage).get("c")


def test_the_list_is_in_the_operators_order(storage: Storage) -> None:
    listed = ModelLibrary({"b": "x/b", "a": "x/a"}, storage).list_all()
    assert [model.name for model, _ in listed] == ["b", "a"]


def test_a_model_in_storage_is_available_once_it_was_pushed(folder: Path, storage: Storage, tmp_path: Path) -> None:
    library = ModelLibrary({"gemma": "storage:gemma-3"}, storage)
    assert [is_available for _, is_available in library.list_all()] == [False]
    with pytest.raises(BaseModelMissing):
        library.get("gemma")
    push_model(storage, "gemma-3", list_pushed_files(folder))
    ((model, is_available),) = library.list_all()
    assert (is_available, model.size_bytes) == (True, 8)
    assert library.get("gemma").size_bytes == 8
    lent = Path(library.lend("gemma", tmp_path).path)
    assert {path.name for path in lent.iterdir()} == {"config.json", "model-1.safetensors", "model-2.safetensors"}


def test_a_model_that_was_seen_is_known_while_the_store_is_away(shared: Storage, bucket: CountingBucket) -> None:
    model = ModelLibrary(STORED, shared).get("gemma")
    bucket.is_away = True
    for _ in range(2):
        assert ModelLibrary(STORED, shared).get("gemma") == model
        assert [(known.size_bytes, there) for known, there in ModelLibrary(STORED, shared).list_known()] == [(8, True)]
        let_time_pass(shared)
    # Operators and trainings need it as it is now.
    with pytest.raises(StorageUnreachable):
        ModelLibrary(STORED, shared).list_all()
    with pytest.raises(StorageUnreachable):
        ModelLibrary(STORED, shared).lend("gemma", shared.root)


def test_a_model_that_was_never_fetched_waits_for_the_store(shared: Storage, bucket: CountingBucket) -> None:
    """Being listed is not enough: what a job is checked by is in its files."""
    bucket.is_away = True
    with pytest.raises(StorageUnreachable, match=r"'gemma' has yet to be fetched .*`emotune doctor`"):
        ModelLibrary(STORED, shared).get("gemma")
    with pytest.raises(StorageUnreachable):
        ModelLibrary(STORED, shared).list_known()
    bucket.is_away = False
    ModelLibrary(STORED, shared).list_known()
    bucket.is_away = True
    with pytest.raises(StorageUnreachable, match="has yet to be fetched"):
        ModelLibrary(STORED, shared).get("gemma")
    bucket.is_away = False
    assert ModelLibrary(STORED, shared).get("gemma").size_bytes == 8


def test_what_was_fetched_and_cleared_away_is_fetched_again(shared: Storage, bucket: CountingBucket) -> None:
    config = Path(ModelLibrary(STORED, shared).get("gemma").path) / "config.json"
    config.unlink()
    bucket.is_away = True
    with pytest.raises(StorageUnreachable, match="has yet to be fetched"):
        ModelLibrary(STORED, shared).get("gemma")
    bucket.is_away = False
    assert read_config(shared) == "{}"


def test_the_store_is_asked_now_and_then_by_one_machine(shared: Storage, bucket: CountingBucket) -> None:
    for _ in range(3):
        ModelLibrary(STORED, shared).get("gemma")
        ModelLibrary(STORED, shared).list_known()
    assert bucket.listed_count == 1
    let_time_pass(shared)
    ModelLibrary(STORED, shared).get("gemma")
    ModelLibrary(STORED, shared).get("gemma")
    assert bucket.listed_count == 2


def test_a_store_that_is_away_is_waited_for_once_for_all_models(
    shared: Storage, bucket: CountingBucket, folder: Path
) -> None:
    two = STORED | {"other": "storage:other"}
    push_model(shared, "other", list_pushed_files(folder))
    ModelLibrary(two, shared).list_known()
    for kept in (shared.root / "cache" / "listings").rglob("*.json"):
        os.utime(kept, (0, 0))
    bucket.is_away = True
    assert [is_there for _, is_there in ModelLibrary(two, shared).list_known()] == [True, True]
    assert bucket.missed_count == 1


def test_a_model_that_is_pushed_again_is_noticed(
    tmp_path: Path, shared: Storage, bucket: CountingBucket, folder: Path
) -> None:
    assert read_config(shared) == "{}"
    first = Path(ModelLibrary(STORED, shared).lend("gemma", make_folder(tmp_path / "first")).path)
    bucket.is_away = True
    let_time_pass(shared)
    assert read_config(shared) == "{}"
    bucket.is_away = False
    (folder / "config.json").write_text('{"pushed": "again"}')
    (folder / "model-1.safetensors").write_bytes(b"123456789")
    # By another machine.
    push_model(Storage(tmp_path / "elsewhere", bucket), "gemma-3", list_pushed_files(folder))
    assert read_config(shared) == "{}"
    let_time_pass(shared)
    assert read_config(shared) == '{"pushed": "again"}'
    assert ModelLibrary(STORED, shared).get("gemma").size_bytes == 12
    # A run gets it at once, and one that has begun keeps what it has.
    second = Path(ModelLibrary(STORED, shared).lend("gemma", make_folder(tmp_path / "second")).path)
    assert [(each / "model-1.safetensors").read_bytes() for each in (first, second)] == [b"12345", b"123456789"]


def test_nothing_is_left_of_a_model_that_was_pushed_before(
    tmp_path: Path, shared: Storage, bucket: CountingBucket, folder: Path
) -> None:
    (folder / "chat_template.jinja").write_text("old")
    push_model(shared, "gemma-3", list_pushed_files(folder))
    cached = Path(ModelLibrary(STORED, shared).get("gemma").path)
    assert (cached / "chat_template.jinja").exists()
    for name in ("chat_template.jinja", "model-2.safetensors"):
        (folder / name).unlink()
    push_model(Storage(tmp_path / "elsewhere", bucket), "gemma-3", list_pushed_files(folder))
    let_time_pass(shared)
    assert ModelLibrary(STORED, shared).get("gemma").size_bytes == 5
    assert [path.name for path in cached.iterdir()] == ["config.json"]
    lent = Path(ModelLibrary(STORED, shared).lend("gemma", make_folder(tmp_path / "run")).path)
    assert {path.name for path in lent.iterdir()} == {"config.json", "model-1.safetensors"}


def test_a_model_that_is_deleted_is_missed(shared: Storage, bucket: CountingBucket) -> None:
    ModelLibrary(STORED, shared).get("gemma")
    bucket.delete_all("models/gemma-3/")
    let_time_pass(shared)
    with pytest.raises(BaseModelMissing):
        ModelLibrary(STORED, shared).get("gemma")
    assert [is_there for _, is_there in ModelLibrary(STORED, shared).list_known()] == [False]
    bucket.is_away = True
    with pytest.raises(StorageUnreachable):
        ModelLibrary(STORED, shared).get("gemma")


def test_a_file_that_is_replaced_while_it_is_fetched_is_fetched_anew(shared: Storage, bucket: CountingBucket) -> None:
    bucket.changing_key = "models/gemma-3/config.json"
    assert read_config(shared) == "replaced while it was read"


def test_a_run_never_gets_half_of_one_model_and_half_of_another(
    tmp_path: Path, shared: Storage, bucket: CountingBucket
) -> None:
    bucket.changing_key = "models/gemma-3/model-2.safetensors"
    with pytest.raises(StorageUnreachable, match=r"'gemma' is being replaced"):
        ModelLibrary(STORED, shared).lend("gemma", make_folder(tmp_path / "run"))
    lent = Path(ModelLibrary(STORED, shared).lend("gemma", make_folder(tmp_path / "next")).path)
    assert (lent / "model-2.safetensors").read_bytes() == b"replaced while it was read"


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_kept_list_that_can_not_be_read_is_none(shared: Storage, bucket: CountingBucket, content: str) -> None:
    ModelLibrary(STORED, shared).get("gemma")
    (kept,) = (shared.root / "cache" / "listings").rglob("*.json")
    kept.write_text(content)
    assert ModelLibrary(STORED, shared).get("gemma").size_bytes == 8
    assert bucket.listed_count == 2


def test_a_list_that_can_not_be_kept_is_still_an_answer(shared: Storage) -> None:
    (shared.root / "cache").mkdir(parents=True)
    (shared.root / "cache" / "listings").write_text("a file in the folder's place")
    assert ModelLibrary(STORED, shared).get("gemma").size_bytes == 8


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden"])
def test_no_name_leads_out_of_the_models(name: str, storage: Storage) -> None:
    with pytest.raises(BaseModelMissing, match="not a valid name of a model"):
        ModelLibrary({"gemma": f"storage:{name}"}, storage).get("gemma")


def test_what_is_no_model_is_not_pushed(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"config\.json"):
        list_pushed_files(tmp_path)
