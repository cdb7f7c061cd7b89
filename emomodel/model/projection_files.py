"""The emotion projection's two files: `emotion_proj.pth`, a plain state dict, and the same tensors as safetensors."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emomodel.bundles.manifest import Manifest
from emomodel.errors import BundleMismatch, get_first_line
from emomodel.model.projection import get_layer_sizes, make_projection

PROJECTION_FILE = "emotion_proj.pth"
SAFE_PROJECTION_FILE = "emotion_proj.safetensors"


def save_projection(projection: nn.Sequential, folder: Path) -> None:
    """Write the projection's state dict to `folder` as `.pth` and as safetensors, the same float32 tensors in both."""
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in projection.state_dict().items()}
    torch.save(weights, folder / PROJECTION_FILE)
    save_file(weights, folder / SAFE_PROJECTION_FILE, metadata={"format": "pt"})


def load_projection(folder: Path, manifest: Manifest) -> nn.Sequential:
    """Load the projection that `manifest` describes: float32, on the CPU, (..., axes) -> (..., hidden size).

    It is read from the safetensors file, or from the `.pth` file of a bundle of format 1, which has no other. Raises
    BundleMismatch when the file can't be read, or has other tensors than the manifest's sizes require.
    """
    projection = make_projection(len(manifest.axes), manifest.hidden_size, "default")
    sizes = get_layer_sizes(projection)
    if sizes != manifest.layer_sizes:
        raise BundleMismatch(f"the manifest's layer sizes are {manifest.layer_sizes}, by its axes: {sizes}")
    safe_path = folder / SAFE_PROJECTION_FILE
    path = safe_path if safe_path.exists() else folder / PROJECTION_FILE
    weights = read_tensors(path)
    compare_shapes(path.name, _get_shapes(projection.state_dict()), _get_shapes(weights))
    try:
        projection.load_state_dict(weights)
    except RuntimeError as error:
        # A tensor of the right shape may still be of a kind that can't be copied, such as a sparse one.
        raise BundleMismatch(f"{path.name} doesn't hold plain numbers: {get_first_line(error)}") from error
    return projection


def compare_projection_files(folder: Path) -> None:
    """Raise BundleMismatch unless both files in `folder` hold the same tensors."""
    pickled, safe = read_tensors(folder / PROJECTION_FILE), read_tensors(folder / SAFE_PROJECTION_FILE)
    names = f"{PROJECTION_FILE} and {SAFE_PROJECTION_FILE}"
    if pickled.keys() != safe.keys():
        raise BundleMismatch(f"{names} differ: one holds {sorted(pickled)}, the other {sorted(safe)}")
    for key in sorted(safe):
        if not _are_equal(pickled[key], safe[key]):
            raise BundleMismatch(f"{names} differ in {key}; one of them is not from the training")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a state dict from a safetensors or PyTorch file, on the CPU.

    Only tensors are unpickled. Raises BundleMismatch when the file can't be read or holds anything else.
    """
    try:
        weights = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        # The unpickler fails with many classes of error. It executes nothing from the file.
        raise BundleMismatch(f"{path.name} can't be read as plain tensors") from error
    if not isinstance(weights, dict) or not all(
        isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in weights.items()
    ):
        raise BundleMismatch(f"{path.name} is not a state dict")
    return dict(weights)


def _are_equal(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers; `torch.equal` raises for two types or layouts."""
    are_alike = (one.dtype, one.layout, one.shape) == (other.dtype, other.layout, other.shape)
    return are_alike and torch.equal(one, other)


def compare_shapes(name: str, expected: dict[str, tuple[int, ...]], present: dict[str, tuple[int, ...]]) -> None:
    """Raise BundleMismatch unless the file `name` has the `expected` weights: these keys, each in this shape."""
    if missing := sorted(expected.keys() - present.keys()):
        raise BundleMismatch(f"{name} lacks {len(missing)} of {len(expected)} weights, such as {missing[0]}")
    if unknown := sorted(present.keys() - expected.keys()):
        raise BundleMismatch(f"{name} has {len(unknown)} weights that the base model has no place for: {unknown[0]}")
    for key, shape in expected.items():
        if present[key] != shape:
            raise BundleMismatch(f"{name}: {key} has the shape {present[key]}, where {shape} is needed")


def _get_shapes(weights: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in weights.items()}
