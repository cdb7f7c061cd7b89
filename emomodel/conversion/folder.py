"""A finished conversion: the report inside its folder, and how a folder appears only when it is complete.

    ConversionError
    ├── GgufInvalid       the file is no GGUF file of a Gemma 3 with its vocabulary
    ├── ConversionWrong   the converted model or tokenizer fails its check
    ├── FolderOccupied    the folder holds something that isn't a converted model
    └── PackagesMissing   the packages with the sample model aren't installed

A folder with a readable report is complete: the report is written last, and the folder gets its name after that.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emomodel.errors import EmomodelError
from emomodel.files import sync

REPORT_NAME = "conversion.json"
# To be raised when the conversion of a source gives another result: folders of other versions are then converted again.
CONVERTER_VERSION = 1


class ConversionError(EmomodelError):
    """The model can't be converted."""

    code = "conversion_failed"


class GgufInvalid(ConversionError):
    """The file is no GGUF file of a Gemma 3 with its vocabulary."""

    code = "gguf_invalid"


class ConversionWrong(ConversionError):
    """The converted model or tokenizer fails its check."""

    code = "conversion_wrong"


class FolderOccupied(ConversionError):
    """The folder holds something that isn't a converted model."""

    code = "folder_occupied"


class PackagesMissing(ConversionError):
    """The packages with the sample model aren't installed."""

    code = "packages_missing"


@dataclass(frozen=True)
class LossCheck:
    """Known texts, and the range, in nats, of the mean loss per token that a correct model has on them."""

    texts: tuple[str, ...]
    minimum: float
    maximum: float


class ConversionReport(BaseModel):
    """What was converted, how, and how it was checked: `conversion.json` in the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    converter_version: int
    source_name: str
    source_sha256: str
    loss: float | None = Field(description="Mean loss per token on the check's text, in nats; null without a check.")
    versions: dict[str, str] = Field(description="Of the packages that did the work.")
    seconds: float
    file_bytes: dict[str, int] = Field(description="Size of every other file of the folder.")


def find_conversion(folder: Path, source_sha256: str) -> ConversionReport | None:
    """Return the report of a folder if it has this source, converted by this version, and all files have their size."""
    try:
        report = ConversionReport.model_validate_json((folder / REPORT_NAME).read_bytes())
    except (OSError, ValidationError):
        return None
    wanted = report.source_sha256 == source_sha256 and report.converter_version == CONVERTER_VERSION
    return report if wanted and report.file_bytes == measure_files(folder) else None


def measure_files(folder: Path) -> dict[str, int]:
    """Return the size in bytes of every file in the folder but the report, by name."""
    files = (path for path in sorted(folder.iterdir()) if path.name != REPORT_NAME)
    return {path.name: path.stat().st_size for path in files}


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the lock for making `folder`, while other processes wait. It ends with the process, however that ends.

    The lock file, `.NAME.lock` beside the folder, stays: deleting it would let two processes lock two files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Yield a new folder, which becomes `folder` in one step when the block ends well. The caller holds `exclusive`.

    The parent of the new folder is scratch space, which is deleted. An earlier conversion at `folder` is replaced.
    Raises FolderOccupied when `folder` holds something else.
    """
    _refuse_occupied(folder)
    prefix = f".{folder.name}.building-"
    for left in folder.parent.glob(f"{prefix}*"):  # left by a killed process: this one holds the lock
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        fresh = work / "fresh"
        fresh.mkdir()
        yield fresh
        for path in (*fresh.iterdir(), fresh):
            sync(path)
        if folder.exists():
            folder.rename(work / "replaced")
        fresh.rename(folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(work)


def _refuse_occupied(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / REPORT_NAME).is_file()):
        raise FolderOccupied(f"{folder} holds something that isn't a converted model; name another folder or empty it")
