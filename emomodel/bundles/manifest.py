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
# A bundle's folders, and the files in the first.
ADAPTER_FOLDER = "adapter"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOKENIZER_FOLDER = "tokenizer"

# The libraries whose versions a manifest lists: those that the numbers depend on.
_LIBRARIES = ("torch", "transformers", "peft", "tokenizers", "unsloth")


class BundleError(EmomodelError):
    """The bundle can't be used."""

    code = "bundle_invalid"


class NotABundle(BundleError):
    """The file is not a bundle, or its manifest or another of its files can't be parsed."""

    code = "bundle_unreadable"


class NewerFormat(BundleError):
    """The bundle's format is newer than this emomodel."""

    code = "bundle_newer"


class UnsafeBundle(BundleError):
    """The zip holds unsafe paths, links or sizes."""

    code = "bundle_unsafe"


class FileMissing(BundleError):
    """A file that the manifest lists is missing from the bundle."""

    code = "bundle_file_missing"


class FileUnexpected(BundleError):
    """The bundle holds a file that the manifest doesn't list."""

    code = "bundle_file_unexpected"


class FileAltered(BundleError):
    """A file's size or sha256 differs from the manifest's."""

    code = "bundle_file_altered"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetEntry(_Part):
    """What the model was trained on."""

    name: str
    sha256: str
    example_count: int


class MetricsSummary(_Part):
    """The training in a few numbers; metrics.jsonl has every step."""

    first_loss: float
    final_loss: float
    step_count: int
    token_count: int
    train_seconds: float


DType = Literal["auto", "bfloat16", "float32"]
# Where a bundle comes from: a training of emotune, or files of another program.
Origin = Literal["training", "import"]


class Manifest(_Part):
    """The content of `bundle.json`. `layer_sizes` are the widths of the projection: axes, middle and hidden.

    An imported bundle has an `imported_name`, but no config, dataset or metrics, because they are not known.
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
            raise ValueError("a bundle of a training needs config, dataset and metrics")
        if self.origin == "import" and self.imported_name is None:
            raise ValueError("an imported bundle needs imported_name")
        return self

    @property
    def source(self) -> str:
        """Where the weights come from, as a phrase for people."""
        return f"imported from {self.imported_name}" if self.dataset is None else f"trained on {self.dataset.name}"

    @property
    def dtype(self) -> DType:
        """The type of base model and activations; `auto` for an import, where it is not known."""
        return "auto" if self.config is None else self.config.dtype

    def get_axes(self) -> Axes:
        """The axes as an object. Raises AxesInvalid, which a manifest from `parse_manifest` never does."""
        return Axes(self.axes)


def parse_manifest(content: bytes) -> Manifest:
    """Parse the content of `bundle.json`. Raises NotABundle, NewerFormat."""
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
