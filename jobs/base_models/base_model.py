"""ListedModel: a base model on the operator's list, and where its files are."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ListedModel:
    """A base model that jobs may use by its name: a folder, or a hub id.

    For a model in storage, the folder may lack the weights; `stored_bytes` is their size.
    """

    name: str
    path: str
    stored_bytes: int | None = None

    @property
    def is_folder(self) -> bool:
        """Whether `path` is a folder. A hub id has the form `owner/name`; anything like a path is a folder."""
        return Path(self.path).is_dir() or self.path.startswith(("/", ".", "~"))

    @property
    def is_available(self) -> bool:
        """Whether the files exist. A hub id counts as available, as only loading it would show."""
        return not self.is_folder or (Path(self.path).expanduser() / "config.json").is_file()

    @property
    def size_bytes(self) -> int | None:
        """Size of the weights in bytes; None where it is not known."""
        if self.stored_bytes is not None:
            return self.stored_bytes
        if not self.is_folder:
            return None
        return sum(file.stat().st_size for file in Path(self.path).expanduser().glob("*.safetensors"))
