"""The manifest, `bundle.json`: it describes a bundle and lists its files. The errors of bundles are here too."""

import json
import platform
from importlib import metadata
from typing import Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from emomodel.config import EmotionSpan, TrainConfig
from emomodel.emotions import Axes, AxesInvalid
from emomodel.errors import EmomodelError
from emomodel.files import FileEntry

# Format 2 added the projection as safetensors, the reference prompts, and bundles that are imported.
FORMAT_VERSION = 2
MANIFEST_NAME = "bundle.json"
# A bundle's folders, and the weights file in the first.
ADAPTER_FOLDER = "adapter"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOKENIZER_FOLDER = "tokenizer"

# The libraries whose versions a manifest lists: those that the numbers depend on.
_LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "unsloth")


class BundleError(EmomodelError):
    """The bundle can't be used."""

    code = "bundle_invalid"


class NotABundle(BundleError):
    """The file is no bundle."""

    code = "bundle_unreadable"


class NewerFormat(BundleError):
    """The bundle's format is newer than this emomodel."""

    code = "bundle_newer"


class UnsafeBundle(BundleError):
    """The zip would write where or what it must not."""

    code = "bundle_unsafe"


class FileMissing(BundleError):
    """A file of the manifest is not in the bundle."""

    code = "bundle_file_missing"


class FileUnexpected(BundleError):
    """The bundle holds a file that the manifest doesn't name."""

    code = "bundle_file_unexpected"


class FileAltered(BundleError):
    """A file is not the one that the manifest describes."""

    code = "bundle_file_altered"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetEntry(_Part):
    """What the model was trained on."""

    name: str
    sha256: str
    example_count: int


class MetricsSummary(_Part):
    """The training in a few numbers; metrics.jsonl has all."""

    first_loss: float
    final_loss: float
    step_count: int
    token_count: int
    train_seconds: float


DType = Literal["auto", "bfloat16", "float32"]
# Where a bundle comes from: a training of ours, or a folder that another program left.
Origin = Literal["training", "import"]


class Manifest(_Part):
    """`bundle.json`. `layer_sizes` are the projection's: axes, middle, hidden.

    An imported bundle has an `imported_name`, and no config, dataset or metrics: nobody knows them.
    """

    format_version: int = FORMAT_VERSION
    base_model: str
    axes: tuple[str, ...]
    hidden_size: PositiveInt
    layer_sizes: tuple[int, int, int]
    emotion_scale: FiniteFloat
    emotion_centered: bool
    emotion_span: EmotionSpan
    origin: Origin = "training"
    imported_name: str | None = None
    config: TrainConfig | None = None
    dataset: DatasetEntry | None = None
    metrics: MetricsSummary | None = None
    library_versions: dict[str, str]
    created_at: AwareDatetime
    files: dict[str, FileEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _origin_is_whole(self) -> Self:
        if self.origin == "training" and None in (self.config, self.dataset, self.metrics):
            raise ValueError("config, dataset and metrics of the training are needed")
        if self.origin == "import" and self.imported_name is None:
            raise ValueError("imported_name is needed")
        return self

    @property
    def source(self) -> str:
        """Where the weights come from, in words."""
        return f"imported from {self.imported_name}" if self.dataset is None else f"trained on {self.dataset.name}"

    @property
    def dtype(self) -> DType:
        """Of base model and activations; `auto` for an import, which can't know."""
        return "auto" if self.config is None else self.config.dtype

    def get_axes(self) -> Axes:
        """The axes as an object. Raises AxesInvalid, which a manifest from `parse_manifest` never does."""
        return Axes(self.axes)


def parse_manifest(content: bytes) -> Manifest:
    """Read `bundle.json`. Raises NotABundle, NewerFormat."""
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotABundle(f"{MANIFEST_NAME} is not JSON: {error}; download the bundle again") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if version is None:
        raise NotABundle(f"{MANIFEST_NAME} has no format_version, so it is not a bundle's manifest")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise NewerFormat(
            f"the bundle has format {version}, this emomodel knows formats up to {FORMAT_VERSION}; update emomodel"
        )
    try:
        manifest = Manifest.model_validate(document)
        manifest.get_axes()
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"{part}: " for part in first["loc"])
        raise NotABundle(f"{MANIFEST_NAME} is not a manifest: {field}{first['msg']}") from error
    except AxesInvalid as error:
        raise NotABundle(f"{MANIFEST_NAME} is not a manifest: axes: {error}") from error
    return manifest


def get_library_versions() -> dict[str, str]:
    """The installed versions of Python and of the libraries that the model's numbers depend on, by name."""
    installed = {package.metadata["Name"]: package.version for package in metadata.distributions()}
    return {"python": platform.python_version()} | {name: installed[name] for name in _LIBRARIES if name in installed}
