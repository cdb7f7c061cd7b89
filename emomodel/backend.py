"""Which library holds the base model: Unsloth or plain transformers."""

import importlib

import torch

from emomodel.config import Backend


def uses_unsloth(backend: Backend) -> bool:
    """Whether `backend` means Unsloth on this machine."""
    return backend == "unsloth" or (backend == "auto" and torch.cuda.is_available())


def import_backend(backend: Backend) -> None:
    """Import Unsloth where it is used. It patches transformers and PEFT, so it must come before they are imported."""
    if uses_unsloth(backend) and torch.cuda.is_available():
        importlib.import_module("unsloth")
