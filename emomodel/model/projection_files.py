"""The emotion projection's two files: `emotion_proj.pth`, a plain state dict, and the same tensors as safetensors."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emomodel.errors import BundleMismatch

PROJECTION_FILE = "emotion_proj.pth"
SAFE_PROJECTION_FILE = "emotion_proj.safetensors"


def save_projection(projection: nn.Sequential, folder: Path) -> None:
    """Write the projection's state dict into `folder`, twice: `.pth` and safetensors, the same float32 tensors."""
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in projection.state_dict().items()}
    torch.save(weights, folder / PROJECTION_FILE)
    save_file(weights, folder / SAFE_PROJECTION_FILE, metadata={"format": "pt"})


def compare_projection_files(folder: Path) -> None:
    """Raises BundleMismatch when the two files don't hold the same."""
    pickled, safe = read_tensors(folder / PROJECTION_FILE), read_tensors(folder / SAFE_PROJECTION_FILE)
    names = f"{PROJECTION_FILE} and {SAFE_PROJECTION_FILE}"
    if pickled.keys() != safe.keys():
        raise BundleMismatch(f"{names} differ: one holds {sorted(pickled)}, the other {sorted(safe)}")
    for key in sorted(safe):
        if not _are_equal(pickled[key], safe[key]):
            raise BundleMismatch(f"{names} differ in {key}; one of them is not from the training")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict, on the CPU. Nothing is unpickled but tensors. Raises BundleMismatch."""
    try:
        weights = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        # The unpickler fails in many ways; whichever, nothing was executed.
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
