"""ModelLibrary: the operator's list of base models, and fetching their files to this machine.

A model is listed by its folder, by a hub id, or as `storage:NAME` where its files are in storage:
models/NAME/<file>          as `emotune models push` puts them there
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jobs.base_models.base_model import ListedModel
from jobs.base_models.listings import ModelListings
from jobs.errors import BaseModelMissing, BaseModelUnknown, StorageUnreachable
from jobs.files.storage import Storage
from jobs.files.store import StoredFile

STORED_SCHEME = "storage:"
MODEL_NAME_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
WEIGHTS_SUFFIX = ".safetensors"
# The second try is for a model that has been pushed again since it was listed.
FETCH_TRIES = 2

_NOT_HERE = (
    "Base model {name!r} has yet to be fetched to this machine. Send the request again once the object store answers; "
    "`emotune doctor` shows why it can't be reached."
)
_REPLACED = "Base model {name!r} is being replaced in the object store. Send the request again in a minute."


class ModelLibrary:
    """The base models on the operator's list. Files of models in storage are fetched and cached as datasets are."""

    def __init__(self, base_models: Mapping[str, str], storage: Storage) -> None:
        self._base_models = base_models
        self._store = storage.store
        self._has_copies = storage.is_shared
        self._listings = ModelListings(storage)

    def list_all(self) -> list[tuple[ListedModel, bool]]:
        """All models in the operator's order, and whether their files exist now. Raises StorageUnreachable."""
        return self._list(self._listings.ask)

    def list_known(self) -> list[tuple[ListedModel, bool]]:
        """All models as by list_all; while the store can't be reached, as this machine last saw them.

        Raises StorageUnreachable for a model that this machine has never seen.
        """
        return self._list(self._listings.list_known)

    def get(self, name: str) -> ListedModel:
        """The model, with its config and tokenizer on this machine; while the store is unreachable, as last seen here.

        Raises BaseModelUnknown, BaseModelMissing, and StorageUnreachable when files have yet to be fetched.
        """
        path = self._get_path(name)
        if not path.startswith(STORED_SCHEME):
            return _require_available(ListedModel(name, path))
        prefix = _make_prefix(path)
        for _ in range(FETCH_TRIES):
            try:
                return self._fetch(name, self._listings.list_known(prefix))
            except FileNotFoundError:
                self._listings.forget(prefix)
            except StorageUnreachable as error:
                raise StorageUnreachable(f"{_NOT_HERE.format(name=name)} {error.message}") from error
        raise StorageUnreachable(_REPLACED.format(name=name))

    def lend(self, name: str, folder: Path) -> ListedModel:
        """The model with all its files on this machine, as they are in storage now, for as long as `folder` exists.

        Raises BaseModelUnknown, BaseModelMissing and StorageUnreachable.
        """
        path = self._get_path(name)
        if not path.startswith(STORED_SCHEME):
            return _require_available(ListedModel(name, path))
        files = self._listings.ask(_make_prefix(path))
        try:
            return _bring(name, files, lambda file: self._store.lend(file.key, folder, listed=file), with_weights=True)
        except FileNotFoundError as error:
            raise StorageUnreachable(_REPLACED.format(name=name)) from error

    def _fetch(self, name: str, files: Sequence[StoredFile]) -> ListedModel:
        model = _bring(name, files, lambda file: self._store.fetch(file.key, listed=file), with_weights=False)
        if self._has_copies:
            _clear_others(Path(model.path), files)
        return model

    def _get_path(self, name: str) -> str:
        if name not in self._base_models:
            known = ", ".join(self._base_models) or "empty: the operator sets EMOTUNE_BASE_MODELS"
            message = f"{name!r} is not on the operator's list of base models ({known})."
            raise BaseModelUnknown(message, field="base_model")
        return self._base_models[name]

    def _list(self, list_files: Callable[[str], Sequence[StoredFile]]) -> list[tuple[ListedModel, bool]]:
        found = []
        for name, path in self._base_models.items():
            if path.startswith(STORED_SCHEME):
                files = list_files(_make_prefix(path))
                found.append((ListedModel(name, path, _sum_weights(files)), _has_config(files)))
            else:
                model = ListedModel(name, path)
                found.append((model, model.is_available))
        return found


def make_model_prefix(stored_name: str) -> str:
    """The prefix of the keys of a model's files. Raises BaseModelMissing for an invalid name."""
    if not MODEL_NAME_FORM.fullmatch(stored_name):
        message = (
            f"{stored_name!r} is not a valid name of a model in storage: use letters, digits, dots, dashes and "
            "underscores."
        )
        raise BaseModelMissing(message, field="base_model")
    return f"models/{stored_name}/"


def _make_prefix(path: str) -> str:
    return make_model_prefix(path.removeprefix(STORED_SCHEME))


def _bring(
    name: str, files: Sequence[StoredFile], fetch: Callable[[StoredFile], Path], *, with_weights: bool
) -> ListedModel:
    if not _has_config(files):
        raise BaseModelMissing(field="base_model")
    paths = [fetch(file) for file in files if with_weights or not file.key.endswith(WEIGHTS_SUFFIX)]
    return ListedModel(name, str(paths[0].parent), _sum_weights(files))


def _clear_others(folder: Path, files: Sequence[StoredFile]) -> None:
    """Delete files of an earlier push, such as a chat template, which loading the folder would use."""
    names = {file.key.rpartition("/")[2] for file in files}
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink(missing_ok=True)


def _require_available(model: ListedModel) -> ListedModel:
    if not model.is_available:
        raise BaseModelMissing(field="base_model")
    return model


def _has_config(files: Sequence[StoredFile]) -> bool:
    return any(file.key.endswith("/config.json") for file in files)


def _sum_weights(files: Sequence[StoredFile]) -> int:
    return sum(file.size_bytes for file in files if file.key.endswith(WEIGHTS_SUFFIX))
