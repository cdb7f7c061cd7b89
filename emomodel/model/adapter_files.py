"""The adapter's files: saved so that plain PEFT loads them; loading refuses an adapter that doesn't fit exactly."""

import json
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import nn

from emomodel.bundles.manifest import ADAPTER_CONFIG, ADAPTER_FOLDER, ADAPTER_WEIGHTS
from emomodel.errors import BundleMismatch, get_first_line
from emomodel.model.projection_files import compare_shapes

# PEFT calls the wrapper `base_model.model`. The next `.model` is the wrapper's attribute, which plain PEFT lacks.
_WRAPPED_PREFIX = "base_model.model.model."
_PLAIN_PREFIX = "base_model.model."


def save_adapter(peft_model: PeftModel, folder: Path, *, base_model: str) -> None:
    """Write a standard adapter to `folder`: `PeftModel.from_pretrained(base, folder)` loads it without this project.

    `base_model` is the name that the adapter's config gives to its base model. Raises OSError.
    """
    peft_model.active_peft_config.base_model_name_or_path = base_model
    peft_model.save_pretrained(str(folder), save_embedding_layers=False)
    weights = folder / ADAPTER_WEIGHTS
    plain = {_remove_wrapper(key): tensor for key, tensor in load_file(weights).items()}
    save_file(plain, weights, metadata={"format": "pt"})
    # PEFT writes a template of a model card; the bundle has a card of its own.
    (folder / "README.md").unlink(missing_ok=True)


def load_adapter(base_model: nn.Module, folder: Path) -> PeftModel:
    """Return the base model with the adapter in `folder` on it, in evaluation mode.

    Raises BundleMismatch when the adapter lacks a weight that its config requires, or has an additional one or one of
    another shape. PEFT would only warn, and continue with an adapter that has no effect.
    """
    _check_config(folder)
    try:
        present = {key: tuple(tensor.shape) for key, tensor in load_file(folder / ADAPTER_WEIGHTS).items()}
        model = PeftModel.from_pretrained(base_model, str(folder))
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise
    except Exception as error:
        # A config can make PEFT fail in many classes; all mean the same to the owner of the bundle.
        raise BundleMismatch(f"the adapter doesn't fit the base model: {get_first_line(error)}") from error
    expected = {
        key.replace(".default.", "."): tuple(tensor.shape)
        for key, tensor in model.state_dict().items()
        if "lora_" in key
    }
    compare_shapes(f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS}", expected, present)
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


def _remove_wrapper(key: str) -> str:
    if not key.startswith(_WRAPPED_PREFIX):
        raise ValueError(f"the adapter holds {key}, which is no weight of the base model")
    return _PLAIN_PREFIX + key.removeprefix(_WRAPPED_PREFIX)
