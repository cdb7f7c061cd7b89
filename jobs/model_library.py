"""ModelLibrary: the operator's list of base models, and bringing their files to this machine.

A model is listed by its folder, by a hub id, or as `storage:NAME` where its files are in storage:
models/NAME/<file>          as `emotune models push` puts them there
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from jobs.base_models import BaseModel
from jobs.errors import BaseModelMissing, BaseModelUnknown
from jobs.storage import Storage
from jobs.store import StoredFile

STORED_SCHEME = "storage:"
MODEL_NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
WEIGHTS_SUFFIX = ".safetensors"


class ModelLibrary:
    """Of what is in storage, a machine fetches what it needs, and keeps it as it keeps datasets."""

    def __init__(self, base_models: Mapping[str, str], storage: Storage) -> None:
        self._base_models = base_models
        self._storage = storage

    def list_all(self) -> list[tuple[BaseModel, bool]]:
        """All in the operator's order, and whether their files are there. Raises StorageUnreachable."""
        found = []
        for name, path in self._base_models.items():
            files = self._find_files(path)
            if files is None:
                model = BaseModel(name, path)
                found.append((model, model.is_available))
            else:
                found.append((BaseModel(name, path, _sum_weights(files)), _has_config(files)))
        return found

    def get(self, name: str) -> BaseModel:
        """With its config and its tokenizer on this machine.

        Raises BaseModelUnknown, BaseModelMissing and StorageUnreachable.
        """
        return self._bring(name, self._storage.store.fetch, with_weights=False)

    def lend(self, name: str, folder: Path) -> BaseModel:
        """With all its files on this machine, for as long as `folder` is there. Raises what `get` does."""
        return self._bring(name, lambda key: self._storage.store.lend(key, folder), with_weights=True)

    def _bring(self, name: str, fetch: Callable[[str], Path], *, with_weights: bool) -> BaseModel:
        if name not in self._base_models:
            known = ", ".join(self._base_models) or "empty: the operator sets EMOTUNE_BASE_MODELS"
            message = f"{name!r} is not on the operator's list of base models ({known})."
            raise BaseModelUnknown(message, field="base_model")
        files = self._find_files(self._base_models[name])
        if files is None:
            model = BaseModel(name, self._base_models[name])
            if model.is_available:
                return model
        elif _has_config(files):
            paths = [fetch(file.key) for file in files if with_weights or not file.key.endswith(WEIGHTS_SUFFIX)]
            return BaseModel(name, str(paths[0].parent), _sum_weights(files))
        raise BaseModelMissing(field="base_model")

    def _find_files(self, path: str) -> list[StoredFile] | None:
        """None for a model that is not in storage."""
        if not path.startswith(STORED_SCHEME):
            return None
        prefix = make_model_prefix(path.removeprefix(STORED_SCHEME))
        return [file for file in self._storage.store.list(prefix) if "/" not in file.key.removeprefix(prefix)]


def make_model_prefix(stored_name: str) -> str:
    """Of the keys of a model's files. Raises BaseModelMissing for what is no name."""
    if not MODEL_NAME_FORM.fullmatch(stored_name):
        message = f"{stored_name!r} is no name of a model in storage: letters, digits, dots, dashes and underscores."
        raise BaseModelMissing(message, field="base_model")
    return f"models/{stored_name}/"


def _has_config(files: list[StoredFile]) -> bool:
    return any(file.key.endswith("/config.json") for file in files)


def _sum_weights(files: list[StoredFile]) -> int:
    return sum(file.size_bytes for file in files if file.key.endswith(WEIGHTS_SUFFIX))
