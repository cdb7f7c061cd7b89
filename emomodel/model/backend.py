"""Which library loads and runs the base model: Unsloth or plain transformers."""

import importlib
import importlib.util

import torch

from emomodel.config import Backend
from emomodel.errors import ModelLoadFailed

# The CUDA compute capability of Ampere, the first generation of GPUs with flash attention and bfloat16.
FLASH_CAPABILITY = (8, 0)


def uses_unsloth(backend: Backend) -> bool:
    """Whether `backend` means Unsloth on this machine.

    "auto" means Unsloth where it is installed and the GPU is too old for emotune's own acceleration.
    """
    if backend != "auto":
        return backend == "unsloth"
    is_older = torch.cuda.is_available() and torch.cuda.get_device_capability() < FLASH_CAPABILITY
    return is_older and importlib.util.find_spec("unsloth") is not None


def import_backend(backend: Backend) -> None:
    """Import Unsloth if it is used. It patches transformers and PEFT, so this goes before any import of these.

    Raises ModelLoadFailed if it is asked for by name and not installed.
    """
    if uses_unsloth(backend) and torch.cuda.is_available():
        if importlib.util.find_spec("unsloth") is None:
            raise ModelLoadFailed(
                "Unsloth is not installed on this machine; set backend: auto, or have the operator install it: "
                "pip install 'emotune[gpu]'"
            )
        importlib.import_module("unsloth")
