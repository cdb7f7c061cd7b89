"""Which library holds the base model: Unsloth or plain transformers."""

import importlib
import importlib.util

import torch

from emomodel.config import Backend
from emomodel.errors import ModelLoadFailed

# From this generation of GPUs on (Ampere), flash attention and bfloat16 are there.
FLASH_CAPABILITY = (8, 0)


def uses_unsloth(backend: Backend) -> bool:
    """Whether `backend` means Unsloth on this machine: by itself only on GPUs that our own acceleration can't use."""
    if backend != "auto":
        return backend == "unsloth"
    is_older = torch.cuda.is_available() and torch.cuda.get_device_capability() < FLASH_CAPABILITY
    return is_older and importlib.util.find_spec("unsloth") is not None


def import_backend(backend: Backend) -> None:
    """Import Unsloth where it is used. It patches transformers and PEFT, so it must come before they are imported.

    Raises ModelLoadFailed where it is asked for by name and not installed.
    """
    if uses_unsloth(backend) and torch.cuda.is_available():
        if importlib.util.find_spec("unsloth") is None:
            raise ModelLoadFailed(
                "Unsloth is not installed on this machine; set backend: auto, or have the operator install it: "
                "pip install 'emotune[gpu]'"
            )
        importlib.import_module("unsloth")
