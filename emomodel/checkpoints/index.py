"""The index of a checkpoint, `checkpoint.json`: its step, what it fits, and its files with their hashes.

It is written last, so a folder that has an index was complete. A folder counts as a complete checkpoint by its name,
its index and the sizes of its files; `verify_checkpoint` also reads the files.
"""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from emomodel.errors import CheckpointUnusable
from emomodel.files import FileEntry, describe_file

INDEX_FILE = "checkpoint.json"
# Holds what is being written, or was when a process was killed; it is beside the checkpoints.
PARTIAL_FOLDER = ".partial"
# The name that the Trainer gives a checkpoint's folder, and from which it reads the step.
_NAME = re.compile(r"checkpoint-(\d+)")


class CheckpointIndex(BaseModel):
    """The content of `checkpoint.json`. `course` is the digest of emomodel.checkpoints.course.

    `format_version` increases when the content of a checkpoint changes; another version of emomodel then starts over.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    step: int
    course: str
    eval_loss: float | None = None
    files: dict[str, FileEntry]


@dataclass(frozen=True)
class CheckpointInfo:
    """A checkpoint whose files are all present. `eval_loss` is the loss measured at its step, or None."""

    path: Path
    step: int
    size_bytes: int
    course: str
    eval_loss: float | None


def make_checkpoint_path(folder: Path, step: int) -> Path:
    """The path of the checkpoint of `step` in `folder`."""
    return folder / f"checkpoint-{step}"


def write_index(path: Path, *, step: int, course: str, eval_loss: float | None) -> None:
    """Write the index of all files in `path`. A file written later makes the checkpoint a damaged one."""
    files = {file.name: describe_file(file) for file in sorted(path.iterdir())}
    index = CheckpointIndex(step=step, course=course, eval_loss=eval_loss, files=files)
    (path / INDEX_FILE).write_text(index.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_checkpoint(path: Path) -> CheckpointInfo:
    """Read the index of the checkpoint at `path` and compare file sizes, not contents. Raises CheckpointUnusable."""
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise CheckpointUnusable(f"{path.name} is not the name of a checkpoint")
    index = _read_index(path)
    if index.step != int(name[1]):
        raise CheckpointUnusable(f"{path.name} is damaged: its index is that of step {index.step}")
    size_bytes = (path / INDEX_FILE).stat().st_size
    for file, entry in index.files.items():
        try:
            found_bytes = (path / file).stat().st_size
        except OSError as error:
            raise CheckpointUnusable(f"{path.name} is damaged: {file} is missing") from error
        if found_bytes != entry.size_bytes:
            raise CheckpointUnusable(f"{path.name} is damaged: {file} has {found_bytes} bytes, not {entry.size_bytes}")
        size_bytes += found_bytes
    return CheckpointInfo(path, index.step, size_bytes, index.course, index.eval_loss)


def verify_checkpoint(path: Path) -> None:
    """Read all files of a checkpoint and compare their hashes with its index. Raises CheckpointUnusable."""
    for file, entry in _read_index(path).files.items():
        try:
            found = describe_file(path / file)
        except OSError as error:
            raise CheckpointUnusable(f"{path.name} is damaged: {file} can't be read: {error.strerror}") from error
        if found != entry:
            raise CheckpointUnusable(f"{path.name} is damaged: {file} is not as it was written")


def list_checkpoints(folder: Path) -> list[CheckpointInfo]:
    """The complete checkpoints in `folder`, newest first; an empty list if the folder does not exist."""
    found = []
    for path in list_checkpoint_paths(folder):
        try:
            found.append(read_checkpoint(path))
        except CheckpointUnusable:
            continue
    return sorted(found, key=lambda checkpoint: checkpoint.step, reverse=True)


def delete_checkpoints(folder: Path) -> None:
    """Delete all checkpoints in `folder`, damaged and partial ones too, and the folder if it is then empty."""
    for path in [*list_checkpoint_paths(folder), folder / PARTIAL_FOLDER]:
        delete_checkpoint(path)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def delete_checkpoint(path: Path) -> None:
    """Delete one checkpoint, its index first: what a crash leaves of it never looks complete."""
    (path / INDEX_FILE).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def list_checkpoint_paths(folder: Path) -> list[Path]:
    """The folders named as checkpoints in `folder`, complete or not, in no order; empty if it does not exist."""
    if not folder.is_dir():
        return []
    return [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]


def get_step(path: Path) -> int:
    """The step in a checkpoint folder's name, or -1 if the name has none."""
    name = _NAME.fullmatch(path.name)
    return int(name[1]) if name else -1


def _read_index(path: Path) -> CheckpointIndex:
    try:
        return CheckpointIndex.model_validate_json((path / INDEX_FILE).read_bytes())
    except OSError as error:
        raise CheckpointUnusable(f"{path.name} is incomplete: it has no {INDEX_FILE}") from error
    except ValidationError as error:
        raise CheckpointUnusable(f"{path.name} is damaged: its {INDEX_FILE} can't be read") from error
