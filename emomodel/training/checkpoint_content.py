"""The trained weights of a checkpoint: written, checked and put back.

The Trainer writes optimizer, schedule, random numbers and its state. It would leave out the emotion projection and
round the weights. The position in the data needs no file: the order of the batches follows from config and step.
"""

from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emomodel.errors import CheckpointUnusable

TRAINED_FILE = "trained.safetensors"
# AdamW keeps two numbers, its moments, for each weight that it trains.
_MOMENTS_PER_WEIGHT = 2
# A generous size for random numbers, states and metrics.
_SMALL_FILES_BYTES = 4 * 1024**2


def save_trained(model: nn.Module, folder: Path) -> None:
    """Write the trained weights of `model` to `folder`, in their own precision and under their own names."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in _trained(model)}, folder / TRAINED_FILE)


def check_trained(model: nn.Module, folder: Path) -> None:
    """Raise CheckpointUnusable unless the weights in `folder` have the names and shapes of those of `model`."""
    try:
        with safe_open(folder / TRAINED_FILE, framework="pt") as weights:
            saved = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118 - no dict
    except (OSError, SafetensorError) as error:
        raise CheckpointUnusable(f"{folder.name} is damaged: {TRAINED_FILE} can't be read: {error}") from error
    if saved != {name: tuple(tensor.shape) for name, tensor in _trained(model)}:
        raise CheckpointUnusable(f"{folder.name} does not belong to this training: it holds other weights")


def load_trained(model: nn.Module, folder: Path) -> None:
    """Copy the trained weights in `folder` into `model`."""
    trained = dict(_trained(model))
    for name, tensor in load_file(folder / TRAINED_FILE).items():
        trained[name].data.copy_(tensor)


def estimate_checkpoint_bytes(model: nn.Module) -> int:
    """Estimate the bytes of a checkpoint: the trained weights, the optimizer's moments, and small files."""
    weights = sum(tensor.numel() * tensor.element_size() for _, tensor in _trained(model))
    return weights * (1 + _MOMENTS_PER_WEIGHT) + _SMALL_FILES_BYTES


def _trained(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad)
