"""Which library loads the base model: Unsloth or plain transformers."""

import importlib
import importlib.util
import logging
import os

import torch

from emomodel.config import Backend
from emomodel.errors import ModelLoadFailed, get_first_line

# The CUDA compute capability of Ampere, the first generation of GPUs with flash attention and bfloat16.
FLASH_CAPABILITY = (8, 0)

logger = logging.getLogger(__name__)


def uses_unsloth(backend: Backend) -> bool:
    """Whether `backend` means Unsloth on this machine: "auto" does with CUDA, where Unsloth is installed."""
    if backend != "auto":
        return backend == "unsloth"
    return torch.cuda.is_available() and importlib.util.find_spec("unsloth") is not None


def import_backend(backend: Backend) -> None:
    """Import Unsloth if it is used. It patches transformers and PEFT, so this goes before any import of these.

    With "auto", an Unsloth that can't be imported is left for load_base_model to report. Raises ModelLoadFailed if it
    is asked for by name and is not installed or can't be imported.
    """
    if uses_unsloth(backend) and torch.cuda.is_available():
        if importlib.util.find_spec("unsloth") is None:
            raise ModelLoadFailed(
                "Unsloth is not installed on this machine; set backend: auto, or have the operator install it: "
                "pip install 'emotune[gpu]'"
            )
        # Unsloth would download a file from the model hub with each model that it loads, to count its users.
        os.environ.setdefault("UNSLOTH_DISABLE_STATISTICS", "1")
        try:
            importlib.import_module("unsloth")
        except Exception as error:
            # It checks its versions, the GPU and its kernels in the process, and raises any class of error.
            if backend == "unsloth":
                raise ModelLoadFailed(
                    f"Unsloth can't be imported; set backend: auto. {get_first_line(error)}"
                ) from error
            logger.warning("Unsloth can't be imported", exc_info=True)
