"""The trained parts on disk: adapter, emotion projection, tokenizer. Saved for plain PEFT, loaded without mercy."""

import json
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from emomodel.bundles.manifest import ADAPTER_CONFIG, ADAPTER_FOLDER, ADAPTER_WEIGHTS, Manifest
from emomodel.errors import BundleMismatch
from emomodel.model.projection_files import PROJECTION_FILE, SAFE_PROJECTION_FILE, read_tensors, save_projection
from emomodel.model.wrapper import make_projection

# The files of the projection have a module of their own, which needs no PEFT.
__all__ = [
    "PROJECTION_FILE",
    "SAFE_PROJECTION_FILE",
    "get_layer_sizes",
    "load_adapter",
    "load_projection",
    "save_adapter",
    "save_projection",
]

# PEFT calls the wrapper `base_model.model`; the wrapper's own `.model` would not be there without it.
_WRAPPED_PREFIX = "base_model.model.model."
_PLAIN_PREFIX = "base_model.model."


def save_adapter(peft_model: PeftModel, folder: Path, *, base_model: str) -> None:
    """Write a standard adapter: plain `PeftModel.from_pretrained(base, folder)` loads all of it."""
    peft_model.active_peft_config.base_model_name_or_path = base_model
    peft_model.save_pretrained(str(folder), save_embedding_layers=False)
    weights = folder / ADAPTER_WEIGHTS
    mended = {_mend_key(key): tensor for key, tensor in load_file(weights).items()}
    save_file(mended, weights, metadata={"format": "pt"})
    # PEFT's card is a form with blanks; the bundle's own says what there is to say.
    (folder / "README.md").unlink(missing_ok=True)


def load_projection(folder: Path, manifest: Manifest) -> nn.Sequential:
    """The projection that `manifest` describes, on the CPU: from safetensors, or from the `.pth` of an older bundle.

    Raises BundleMismatch.
    """
    projection = make_projection(len(manifest.axes), manifest.hidden_size, "default")
    sizes = get_layer_sizes(projection)
    if sizes != manifest.layer_sizes:
        raise BundleMismatch(f"the manifest's layer sizes are {manifest.layer_sizes}, by its axes: {sizes}")
    safe_path = folder / SAFE_PROJECTION_FILE
    path = safe_path if safe_path.exists() else folder / PROJECTION_FILE
    weights = read_tensors(path)
    _compare_shapes(path.name, _shapes(projection.state_dict()), _shapes(weights))
    try:
        projection.load_state_dict(weights)
    except RuntimeError as error:
        # A tensor of the right shape may still be of a kind that can't be copied, such as a sparse one.
        reason = str(error).strip().partition("\n")[0]
        raise BundleMismatch(f"{path.name} doesn't hold plain numbers: {reason}") from error
    return projection


def load_adapter(base_model: nn.Module, folder: Path) -> PeftModel:
    """The base model with the adapter on it, for inference.

    Raises BundleMismatch when the adapter lacks a weight that its config asks for, or has one too many or of another
    shape: PEFT itself would only warn, and go on with an adapter that does nothing.
    """
    _check_config(folder)
    try:
        present = {key: tuple(tensor.shape) for key, tensor in load_file(folder / ADAPTER_WEIGHTS).items()}
        model = PeftModel.from_pretrained(base_model, str(folder))
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:
        # A config can make PEFT fail in many classes; all mean the same to the owner of the bundle.
        reason = str(error).strip().partition("\n")[0]
        raise BundleMismatch(f"the adapter doesn't fit the base model: {reason}") from error
    expected = {
        key.replace(".default.", "."): tuple(tensor.shape)
        for key, tensor in model.state_dict().items()
        if "lora_" in key
    }
    _compare_shapes(f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS}", expected, present)
    model.eval()
    return model


def _check_config(folder: Path) -> None:
    """Raises BundleMismatch for a config that PEFT must not act on: it would import the module that it names."""
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BundleMismatch(f"{ADAPTER_FOLDER}/{ADAPTER_CONFIG} can't be read: {error}") from error
    if not isinstance(config, dict) or config.get("megatron_config"):
        raise BundleMismatch(f"{ADAPTER_FOLDER}/{ADAPTER_CONFIG} is not the config of a plain LoRA adapter")


def get_layer_sizes(projection: nn.Sequential) -> tuple[int, int, int]:
    """Axes, middle and hidden size."""
    first: Any = projection[0]
    last: Any = projection[-1]
    return first.in_features, last.in_features, last.out_features


def _mend_key(key: str) -> str:
    if not key.startswith(_WRAPPED_PREFIX):
        raise ValueError(f"the adapter holds {key}, which is no weight of the base model")
    return _PLAIN_PREFIX + key.removeprefix(_WRAPPED_PREFIX)


def _shapes(weights: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in weights.items()}


def _compare_shapes(name: str, expected: dict[str, tuple[int, ...]], present: dict[str, tuple[int, ...]]) -> None:
    if missing := sorted(expected.keys() - present.keys()):
        raise BundleMismatch(f"{name} lacks {len(missing)} of {len(expected)} weights, such as {missing[0]}")
    if unknown := sorted(present.keys() - expected.keys()):
        raise BundleMismatch(f"{name} has {len(unknown)} weights that the base model has no place for: {unknown[0]}")
    for key, shape in expected.items():
        if present[key] != shape:
            raise BundleMismatch(f"{name}: {key} has the shape {present[key]}, where {shape} is needed")
