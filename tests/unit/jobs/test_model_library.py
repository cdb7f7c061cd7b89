"""The operator's list of base models, and how their files come to a machine."""

from pathlib import Path

import pytest

from cli.errors import CliError
from cli.models import list_pushed_files, push_model
from jobs.errors import BaseModelMissing, BaseModelUnknown
from jobs.model_library import ModelLibrary
from jobs.storage import Storage


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


@pytest.mark.parametrize("name", ["", "../other", "a/b", ".hidden"])
def test_no_name_leads_out_of_the_models(name: str, storage: Storage) -> None:
    with pytest.raises(BaseModelMissing, match="no name of a model"):
        ModelLibrary({"gemma": f"storage:{name}"}, storage).get("gemma")


def test_what_is_no_model_is_not_pushed(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"config\.json"):
        list_pushed_files(tmp_path)
