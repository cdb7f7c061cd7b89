"""read_original_bundle: the files that the original project leaves after a training.

They are `adapter_config.json`, `adapter_model.safetensors` or `.bin`, `emotion_proj_weights.pth`, and sometimes the
tokenizer's. The keys of the adapter are those of plain PEFT, or have an additional `model.` from a wrapper; the
projection may be among them. Only tensors are unpickled.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from emomodel.emotions import DEFAULT_AXES
from emomodel.errors import ModelError
from emomodel.model.projection_files import read_tensors

CONFIG_FILE = "adapter_config.json"
ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
PROJECTION_FILES = ("emotion_proj_weights.pth", "emotion_proj.pth")

_PREFIX = "base_model.model."
_WRAPPED_PREFIX = "base_model.model.model.model."
_PLAIN_PREFIX = "base_model.model.model."
_PROJECTION_KEY = re.compile(r".*\bemotion_proj_embed\.(?:modules_to_save\.(?:default\.)?|original_module\.)?(.+)")
_LORA_KEY = re.compile(r"(?P<layer>.+)\.lora_(?P<part>[AB])(?:\.default)?\.weight")
_SUPPORTED = (
    f"supported is Linear({len(DEFAULT_AXES)}, hidden // 2), LayerNorm, GELU, Linear(hidden // 2, hidden), "
    "as in the original project for Gemma"
)


class ImportRefused(ModelError):
    """The folder is not what the original project leaves."""

    code = "import_refused"


@dataclass(frozen=True)
class OriginalBundle:
    """The adapter with the keys of plain PEFT, its config, and the projection with the keys of make_projection."""

    config: dict[str, Any]
    adapter: dict[str, Tensor]
    projection: dict[str, Tensor]

    @property
    def hidden_size(self) -> int:
        return self.projection["3.weight"].shape[0]

    @property
    def base_model(self) -> str:
        """The base model that the adapter's config names, or an empty text."""
        return str(self.config.get("base_model_name_or_path") or "")


def read_original_bundle(folder: Path) -> OriginalBundle:
    """Read and check the files in `folder`; all tensors are on the CPU, and the projection is float32.

    Raises ImportRefused, which says what was found and what is supported, and BundleMismatch for a damaged file.
    """
    config = _read_config(folder)
    path = _find(folder, ADAPTER_FILES)
    adapter: dict[str, Tensor] = {}
    beside: dict[str, Tensor] = {}
    for key, tensor in read_tensors(path).items():
        if match := _PROJECTION_KEY.fullmatch(key):
            beside[match[1]] = tensor
        else:
            adapter[_normalise(key, path.name)] = tensor
    projection = _choose_projection(folder, beside, path.name)
    _check_projection(projection)
    _check_adapter(adapter, config, path.name)
    _check_hidden_size(adapter, projection["3.weight"].shape[0])
    # Trainings of emotune keep the projection in float32 too.
    return OriginalBundle(config, adapter, {key: tensor.float() for key, tensor in projection.items()})


def _read_config(folder: Path) -> dict[str, Any]:
    path = _find(folder, (CONFIG_FILE,))
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ImportRefused(f"{CONFIG_FILE} is not JSON: {error}") from error
    if not isinstance(config, dict) or config.get("peft_type") != "LORA" or not isinstance(config.get("r"), int):
        raise ImportRefused(
            f"{CONFIG_FILE} doesn't describe a LoRA adapter; supported is peft_type LORA, with its rank r"
        )
    if config.get("megatron_config"):
        # PEFT would import the module that it names.
        raise ImportRefused(f"{CONFIG_FILE} describes an adapter for Megatron; supported is a plain LoRA adapter")
    return config


def _find(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ImportRefused(f"{folder} holds no {' or '.join(names)}; give the folder that the original project saved to")


def _normalise(key: str, file_name: str) -> str:
    """Return the key that plain PEFT uses. Raises ImportRefused for what is no LoRA weight of a linear layer."""
    match = _LORA_KEY.fullmatch(key)
    if match is None or not key.startswith(_PREFIX):
        raise ImportRefused(f"{file_name} holds {key}; supported are LoRA weights of linear layers, lora_A and lora_B")
    plain = key
    if key.startswith(_WRAPPED_PREFIX):
        plain = _PLAIN_PREFIX + key.removeprefix(_WRAPPED_PREFIX)
    return plain.replace(".default.weight", ".weight")


def _choose_projection(folder: Path, beside: dict[str, Tensor], adapter_name: str) -> dict[str, Tensor]:
    names = [name for name in PROJECTION_FILES if (folder / name).is_file()]
    if not names:
        if beside:
            return beside
        _find(folder, PROJECTION_FILES)
    own = read_tensors(folder / names[0])
    if beside and not (own.keys() == beside.keys() and all(torch.equal(own[key], beside[key]) for key in own)):
        raise ImportRefused(f"{adapter_name} holds a projection that is not the one in {names[0]}; remove one of them")
    return own


def _check_projection(projection: dict[str, Tensor]) -> None:
    found = {key: tuple(tensor.shape) for key, tensor in projection.items()}
    hidden = next(iter(found.get("3.weight", ())), 0)
    middle = hidden // 2
    expected = {
        "0.weight": (middle, len(DEFAULT_AXES)),
        "0.bias": (middle,),
        "1.weight": (middle,),
        "1.bias": (middle,),
        "3.weight": (hidden, middle),
        "3.bias": (hidden,),
    }
    if found != expected:
        layers = ", ".join(f"{key} {list(shape)}" for key, shape in sorted(found.items())) or "nothing"
        raise ImportRefused(f"the emotion projection holds {layers}; {_SUPPORTED}")


def _check_adapter(adapter: dict[str, Tensor], config: dict[str, Any], file_name: str) -> None:
    """Raise ImportRefused unless the adapter fits its config.

    Each layer needs both parts, lora_A and lora_B, of the config's rank, and has to be one of its target modules.
    """
    if not adapter:
        raise ImportRefused(f"{file_name} holds no LoRA weights")
    rank = config["r"]
    layers: dict[str, set[str]] = {}
    for key, tensor in adapter.items():
        match = _LORA_KEY.fullmatch(key)
        assert match is not None  # noqa: S101 - _normalise has refused all other keys
        layers.setdefault(match["layer"], set()).add(match["part"])
        found = list(tensor.shape)[0 if match["part"] == "A" else -1 :][:1]
        if tensor.ndim != 2 or (found != [rank] and not config.get("rank_pattern")):
            raise ImportRefused(f"{key} has the shape {list(tensor.shape)}, and {CONFIG_FILE} says rank {rank}")
    if halves := sorted(layer for layer, parts in layers.items() if parts != {"A", "B"}):
        raise ImportRefused(f"{file_name} holds one of lora_A and lora_B only for {halves[0]}")
    targets = config.get("target_modules")
    # A text is a regular expression for names of layers of the base model, which isn't loaded here.
    if isinstance(targets, list):
        present = {layer.rpartition(".")[2] for layer in layers}
        if present != set(map(str, targets)):
            raise ImportRefused(
                f"{file_name} holds weights for {', '.join(sorted(present))}; "
                f"{CONFIG_FILE} names {', '.join(sorted(map(str, targets)))}"
            )


def _check_hidden_size(adapter: dict[str, Tensor], hidden_size: int) -> None:
    """Raise ImportRefused unless both are for one hidden size, which is the input size of a query projection."""
    for key, tensor in adapter.items():
        if key.endswith(".q_proj.lora_A.weight") and tensor.shape[1] != hidden_size:
            raise ImportRefused(
                f"the adapter is for a base model of hidden size {tensor.shape[1]}, "
                f"the projection for one of {hidden_size}"
            )
