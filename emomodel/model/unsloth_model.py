"""A base model loaded by Unsloth, and the libraries' own code back on it.

Unsloth puts kernels and compiled code of its own into transformers, PEFT and bitsandbytes. emotune's acceleration
compiles and records the libraries' own code, which is faster with the batches of fine-tuning (docs/decisions/0006). A
training without the acceleration keeps Unsloth's code.
"""

import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

from emomodel.errors import ModelLoadFailed

logger = logging.getLogger(__name__)

# The modules whose layers an adapter on 4-bit or 16-bit weights consists of.
_LAYER_MODULES = ("peft.tuners.lora.layer", "peft.tuners.lora.bnb", "bitsandbytes.nn.modules")
# The names, in the configs of transformers, of the number of experts of a layer.
_EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")
# transformers reports weights that a folder lacks, and fills them with random numbers.
_MISSING_WORD = "MISSING"


def load_with_unsloth(name_or_path: str, precision: torch.dtype, in_4bit: bool, max_length: int) -> nn.Module:
    """Load the base model in a local folder, or with an id on the model hub, with Unsloth's FastModel.

    `precision` is that of weights and activations; with `in_4bit` the weights are nf4, double-quantised. `max_length`
    is the longest text, in tokens. Raises ModelLoadFailed when the folder lacks weights; Unsloth raises many others.
    """
    # Unsloth has to be imported before transformers; backend.py has done so.
    from unsloth import FastModel

    with _refusing_missing_weights(name_or_path):
        model, _ = FastModel.from_pretrained(
            model_name=name_or_path,
            max_seq_length=max_length,
            dtype=precision,
            load_in_4bit=in_4bit,
            full_finetuning=False,
            # Unsloth's default is True. The Trainer enables it if the config says so.
            use_gradient_checkpointing=False,
            trust_remote_code=False,
        )
    loaded: nn.Module = model
    return loaded


def restore_library_code(model: Any) -> bool:
    """Give the modules of `model`, PEFT and bitsandbytes their own code back; return whether that was possible.

    If not, all modules stay as they are. `model` is a causal model of transformers. Its attention becomes PyTorch's
    own, `sdpa`: with Unsloth's flex attention the first pass would compile for half a minute.
    """
    if not model._supports_sdpa:  # noqa: SLF001 - transformers has no other way to ask
        return False
    if any(getattr(model.config.get_text_config(), name, None) for name in _EXPERT_COUNTS):
        # Unsloth stores experts in another form, which transformers' code may not find.
        return False
    sources = [_load_unpatched(name) for name in sorted(_find_modeling_modules(model))]
    classes = {
        name: kind
        for source in sources
        for name, kind in vars(source).items()
        if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == source.__name__
    }
    lost = {type(module).__name__ for module in model.get_decoder().modules() if _is_lost(module, classes)}
    if lost:
        logger.warning("these modules run Unsloth's code and have no counterpart: %s", ", ".join(sorted(lost)))
        return False
    for module in model.modules():
        own = classes.get(type(module).__name__)
        if own is not None:
            module.__class__ = own
            # A forward that was set on the module itself would hide that of its class.
            module.__dict__.pop("forward", None)
    for name in [name for name in _LAYER_MODULES if name in sys.modules]:
        _restore_forwards(importlib.import_module(name), _load_unpatched(name))
    model.set_attn_implementation("sdpa")
    return True


def _find_modeling_modules(model: Any) -> set[str]:
    """The names of transformers' modules with the classes of `model`, which are in the packages of its configs."""
    configs = (model.config, model.config.get_text_config())
    return {type(config).__module__.replace(".configuration_", ".modeling_") for config in configs}


def _is_lost(module: nn.Module, classes: dict[str, type]) -> bool:
    """Whether `module` runs code of Unsloth that neither its class in `classes` nor _restore_forwards replaces."""
    kind = type(module)
    if kind.__name__ in classes or kind.__module__ in _LAYER_MODULES:
        return False
    return kind.__module__.startswith("unsloth") or kind.forward.__module__.startswith("unsloth")


def _load_unpatched(name: str) -> ModuleType:
    """Run the source of the module `name` once more, as a module of another name that no library has patched."""
    alias = f"{name}_unpatched"
    if alias not in sys.modules:
        found = importlib.util.find_spec(name)
        spec = importlib.util.spec_from_file_location(alias, found.origin if found else None)
        if spec is None or spec.loader is None:
            raise ModelLoadFailed(
                f"the source of {name} is not found; install transformers, peft and bitsandbytes again"
            )
        module = importlib.util.module_from_spec(spec)
        # Its classes look up their own module.
        sys.modules[alias] = module
        spec.loader.exec_module(module)
    return sys.modules[alias]


def _restore_forwards(patched: ModuleType, unpatched: ModuleType) -> None:
    """Put the `forward` of each layer of `unpatched` into its counterpart, where that one is from another file."""
    for name, own in vars(unpatched).items():
        kind = getattr(patched, name, None)
        if not isinstance(kind, type) or not isinstance(own, type) or own.__module__ != unpatched.__name__:
            continue
        forward, current = vars(own).get("forward"), vars(kind).get("forward")
        # Not the static methods of autograd functions, which nobody patches.
        if not isinstance(forward, FunctionType) or not isinstance(current, FunctionType):
            continue
        if current.__code__.co_filename != forward.__code__.co_filename:
            kind.forward = forward  # type: ignore[attr-defined]  # a module, as the other one is


@contextmanager
def _refusing_missing_weights(name_or_path: str) -> Iterator[None]:
    """Raise ModelLoadFailed at the end of the block if transformers reported weights that the folder lacks."""
    reports = _MissingWeights()
    transformers_logger = logging.getLogger("transformers")
    transformers_logger.addHandler(reports)
    try:
        yield
    finally:
        transformers_logger.removeHandler(reports)
    if reports.lines:
        raise ModelLoadFailed(f"the base model {name_or_path} lacks weights: {reports.lines[0]}")


class _MissingWeights(logging.Handler):
    """Collects the lines of transformers' reports that name a weight as missing."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().splitlines()
        self.lines += [line.strip() for line in lines if _MISSING_WORD in line and "|" in line]
