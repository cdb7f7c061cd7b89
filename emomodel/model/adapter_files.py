"""The adapter on the disk: written so that plain PEFT loads it, and refused when a weight is missing or too many."""

from pathlib import Path

from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from emomodel.errors import BundleMismatch
from emomodel.model.projection_files import compare_shapes

ADAPTER_FOLDER = "adapter"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
TOKENIZER_FOLDER = "tokenizer"

# PEFT calls the wrapper `base_model.model`; the wrapper's own `.model` would not be there without it.
_WRAPPED_PREFIX = "base_model.model.model."
_PLAIN_PREFIX = "base_model.model."


def save_adapter(peft_model: PeftModel, folder: Path, *, base_model: str) -> None:
    """Write a standard adapter: plain `PeftModel.from_pretrained(base, folder)` loads all of it."""
    peft_model.active_peft_config.base_model_name_or_path = base_model
    peft_model.save_pretrained(str(folder), save_embedding_layers=False)
    weights = folder / ADAPTER_WEIGHTS
    plain = {_remove_wrapper(key): tensor for key, tensor in load_file(weights).items()}
    save_file(plain, weights, metadata={"format": "pt"})
    # PEFT's card is a form with blanks; the bundle's own says what there is to say.
    (folder / "README.md").unlink(missing_ok=True)


def load_adapter(base_model: nn.Module, folder: Path) -> PeftModel:
    """The base model with the adapter on it, for inference.

    Raises BundleMismatch when the adapter lacks a weight that its config asks for, or has one too many or of another
    shape: PEFT itself would only warn, and go on with an adapter that does nothing.
    """
    try:
        present = {key: tuple(tensor.shape) for key, tensor in load_file(folder / ADAPTER_WEIGHTS).items()}
        model = PeftModel.from_pretrained(base_model, str(folder))
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BundleMismatch(f"the adapter doesn't fit the base model: {reason}") from error
    expected = {
        key.replace(".default.", "."): tuple(tensor.shape)
        for key, tensor in model.state_dict().items()
        if "lora_" in key
    }
    compare_shapes(f"{ADAPTER_FOLDER}/{ADAPTER_WEIGHTS}", expected, present)
    model.eval()
    return model


def _remove_wrapper(key: str) -> str:
    if not key.startswith(_WRAPPED_PREFIX):
        raise ValueError(f"the adapter holds {key}, which is no weight of the base model")
    return _PLAIN_PREFIX + key.removeprefix(_WRAPPED_PREFIX)
