"""ListedModel: what a name on the operator's list of base models stands for. [no torch: only looks at files]"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ListedModel:
    """A name that jobs may use, and what is loaded for it: a folder, or a hub id.

    Of a model in storage the folder may hold all but the weights; `stored_bytes` is their size.
    """

    name: str
    path: str
    stored_bytes: int | None = None

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
        """Of the weights, where it is known."""
        if self.stored_bytes is not None:
            return self.stored_bytes
        if not self.is_folder:
            return None
        return sum(file.stat().st_size for file in Path(self.path).expanduser().glob("*.safetensors"))
