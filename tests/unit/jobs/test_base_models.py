"""The operator's list of base models."""

from pathlib import Path

import pytest

from jobs.base_models import get_base_model, list_base_models
from jobs.errors import BaseModelMissing, BaseModelUnknown


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "gemma"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model-1.safetensors").write_bytes(b"12345")
    (folder / "model-2.safetensors").write_bytes(b"123")
    return folder


def test_a_folder_is_known_by_its_config(folder: Path) -> None:
    model = get_base_model({"gemma": str(folder)}, "gemma")
    assert (model.is_folder, model.is_available, model.size_bytes) == (True, True, 8)
    (folder / "config.json").unlink()
    with pytest.raises(BaseModelMissing) as missing:
        get_base_model({"gemma": str(folder)}, "gemma")
    assert missing.value.field == "base_model"


@pytest.mark.parametrize("path", ["/not/there", "./not-there", "~/not-there"])
def test_what_looks_like_a_path_is_no_hub_id(path: str) -> None:
    with pytest.raises(BaseModelMissing):
        get_base_model({"gemma": path}, "gemma")


def test_a_hub_id_is_taken_on_trust() -> None:
    model = get_base_model({"gemma": "google/gemma-3-270m"}, "gemma")
    assert (model.is_folder, model.is_available, model.size_bytes) == (False, True, None)


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(BaseModelUnknown, match="a, b"):
        get_base_model({"a": "x/a", "b": "x/b"}, "c")
    with pytest.raises(BaseModelUnknown, match="EMOTUNE_BASE_MODELS"):
        get_base_model({}, "c")


def test_the_list_is_in_the_operators_order() -> None:
    assert [model.name for model in list_base_models({"b": "x/b", "a": "x/a"})] == ["b", "a"]
