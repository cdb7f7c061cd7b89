"""The operator's list of base models. [no torch: only looks at files]"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jobs.errors import BaseModelMissing, BaseModelUnknown


@dataclass(frozen=True)
class BaseModel:
    """A name that jobs may use, and what is loaded for it: a folder, or a hub id."""

    name: str
    path: str

    @property
    def is_folder(self) -> bool:
        """A hub id is of the form `owner/name` and no existing folder; all that looks like a path is meant as one."""
        return Path(self.path).is_dir() or self.path.startswith(("/", ".", "~"))

    @property
    def is_available(self) -> bool:
        """Whether the files are there. What a hub id names is known only where it is loaded."""
        return not self.is_folder or (Path(self.path).expanduser() / "config.json").is_file()

    @property
    def size_bytes(self) -> int | None:
        """Of the weights, where they are local."""
        if not self.is_folder:
            return None
        return sum(file.stat().st_size for file in Path(self.path).expanduser().glob("*.safetensors"))


def list_base_models(base_models: Mapping[str, str]) -> list[BaseModel]:
    """In the operator's order."""
    return [BaseModel(name, path) for name, path in base_models.items()]


def get_base_model(base_models: Mapping[str, str], name: str) -> BaseModel:
    """Raises BaseModelUnknown and BaseModelMissing."""
    if name not in base_models:
        known = ", ".join(base_models) or "empty: the operator sets EMOTUNE_BASE_MODELS"
        raise BaseModelUnknown(f"{name!r} is not on the operator's list of base models ({known}).", field="base_model")
    model = BaseModel(name, base_models[name])
    if not model.is_available:
        raise BaseModelMissing(field="base_model")
    return model
