"""find_targets: which layers of a base model get an adapter, by the names in `lora_modules`, and which don't.

A name stands for what the layer does. Some models compute several such layers as one: their fused layer gets an adapter
if one of its parts is named. The experts of a mixture of experts get none: they are one tensor for all experts, and an
adapter of them all would be many times as large as one for the rest of the model.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from peft import LoraConfig
from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers
from torch import nn

from emomodel.config import LINEAR_MODULES, LinearModule
from emomodel.errors import ModelLoadFailed

# What computes queries, keys and values in Phi-3, and in the linear attention of Qwen3.5 and Qwen3-Next.
_FUSED_ATTENTION = ("qkv_proj", "linear_attn.in_proj_qkv", "linear_attn.in_proj_qkvz")
_FUSED_MLP = ("gate_up_proj",)
# The ends of the paths of the layers that a name stands for.
_PATHS: dict[LinearModule, tuple[str, ...]] = {
    "q_proj": ("q_proj", *_FUSED_ATTENTION),
    "k_proj": ("k_proj", *_FUSED_ATTENTION),
    "v_proj": ("v_proj", *_FUSED_ATTENTION),
    "o_proj": ("o_proj", "linear_attn.out_proj"),
    "gate_proj": ("gate_proj", *_FUSED_MLP),
    "up_proj": ("up_proj", *_FUSED_MLP),
    "down_proj": ("down_proj",),
}
_ATTENTION: frozenset[LinearModule] = frozenset({"q_proj", "k_proj", "v_proj", "o_proj"})
_MLP: frozenset[LinearModule] = frozenset({"gate_proj", "up_proj", "down_proj"})

# Why a layer gets no adapter.
_IS_EXPERTS = "experts get no adapter"
_TAKEN = "PEFT applies these names to the experts"
_IS_UNNAMED = "no name in lora_modules stands for them"


@dataclass(frozen=True)
class Targets:
    """The layers that get an adapter.

    `names` are the ends of their paths, and `excluded` is a regular expression for paths that end so elsewhere, in the
    form of PEFT's target_modules and exclude_modules. `gap` says what was named and gets no adapter; None if nothing.
    """

    names: tuple[str, ...]
    excluded: str | None
    gap: str | None


def find_targets(model: Any, names: Sequence[LinearModule]) -> Targets:
    """Find the layers that `names` stand for in the decoder of `model`, a causal language model of transformers.

    The parts for images and audio get no adapter. Raises ModelLoadFailed when nothing in the decoder fits.
    """
    decoder = model.get_decoder()
    # A decoder that calls its layers otherwise counts as one layer.
    layers = [_Layer.of(layer) for layer in getattr(decoder, "layers", [decoder])]
    wanted = [path for name in LINEAR_MODULES if name in names for path in _PATHS[name]]
    usable = _drop_experts(wanted, model)
    found = tuple(path for path in dict.fromkeys(usable) if any(layer.find(path) for layer in layers))
    if not found:
        there = ", ".join(sorted({_shorten(path) for layer in layers for path in layer.linear})) or "no linear layers"
        raise ModelLoadFailed(
            f"lora_modules names {', '.join(names)}, and the base model has no such layer that can get an adapter; it "
            f"has {there}. Choose other lora_modules or another base model"
        )
    return Targets(found, _exclude_other_parts(model, found), _describe_gap(layers, names, found))


@dataclass(frozen=True)
class _Layer:
    """The matrices of a decoder layer, by path: `linear` layers, and tensors that hold one matrix for each expert."""

    linear: tuple[str, ...]
    experts: tuple[str, ...]

    @classmethod
    def of(cls, layer: nn.Module) -> "_Layer":
        linear = tuple(path for path, module in layer.named_modules() if isinstance(module, nn.Linear))
        # The weight of a convolution has three dimensions, too; it is called `weight`.
        experts = (path for path, tensor in layer.named_parameters() if tensor.ndim > 2 and not path.endswith("weight"))
        return cls(linear, tuple(experts))

    def find(self, ending: str) -> list[str]:
        return [path for path in self.linear if _ends(path, (ending,))]


def _drop_experts(paths: Iterable[str], model: Any) -> list[str]:
    """Leave out the names that PEFT would take for those of experts: it then adapts the experts and nothing else."""
    converted = LoraConfig(target_modules=[*LINEAR_MODULES])
    convert_peft_config_for_transformers(converted, model, None)
    dropped = set(LINEAR_MODULES) - set(converted.target_modules or ())
    return [path for path in paths if path not in dropped]


def _exclude_other_parts(model: Any, found: Sequence[str]) -> str | None:
    """The regular expression for the parts outside the decoder that have layers with the names `found`."""
    decoder = model.get_decoder()
    decoder_path = next(path for path, module in model.named_modules() if module is decoder)
    outside = (
        path
        for path, _ in model.named_modules()
        if not f"{path}.".startswith(f"{decoder_path}.") and _ends(path, found)
    )
    steps = decoder_path.split(".")
    # The first step at which a path leaves that of the decoder, such as vision_tower.
    parts = sorted({next(step for step in path.split(".") if step not in steps) for path in outside})
    return rf"(.*\.)?({'|'.join(parts)})\..*" if parts else None


def _describe_gap(layers: Sequence[_Layer], names: Sequence[LinearModule], found: Sequence[str]) -> str | None:
    adapted: dict[str, set[int]] = defaultdict(set)
    gaps: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    wanted = [path for name in names for path in _PATHS[name]]
    is_unknown = any(not any(layer.find(path) for layer in layers for path in _PATHS[name]) for name in names)
    for index, layer in enumerate(layers):
        is_partial = is_unknown or _lacks_a_half(layer, names, found)
        for path in (*layer.linear, *layer.experts):
            if path in layer.linear and _ends(path, found):
                adapted[path.rpartition(".")[2]].add(index)
            elif _ends(path, wanted):
                gaps[_TAKEN if path in layer.linear else _IS_EXPERTS][_shorten(path)].add(index)
            elif path in layer.linear and is_partial:
                gaps[_IS_UNNAMED][_shorten(path)].add(index)
    reasons = [f" Not adapted: {_count(places, len(layers))}, since {reason}." for reason, places in gaps.items()]
    return f"The adapter trains {_count(adapted, len(layers))}.{''.join(reasons)}" if reasons else None


def _lacks_a_half(layer: _Layer, names: Sequence[LinearModule], found: Sequence[str]) -> bool:
    """Whether attention or MLP is named, and none of it gets an adapter in this layer."""
    for half in (_ATTENTION, _MLP):
        paths = [path for name in half.intersection(names) for path in _PATHS[name] if path in found]
        if half.intersection(names) and not any(layer.find(path) for path in paths):
            return True
    return False


def _count(places: dict[str, set[int]], layer_count: int) -> str:
    """For instance `q_proj, o_proj in all 4 layers, k_proj in 2 of 4 layers`."""
    by_count: dict[int, list[str]] = defaultdict(list)
    for name, layers in places.items():
        by_count[len(layers)].append(name)
    return ", ".join(
        f"{', '.join(named)} in {'all' if count == layer_count else f'{count} of'} {layer_count} layers"
        for count, named in sorted(by_count.items(), reverse=True)
    )


def _ends(path: str, endings: Iterable[str]) -> bool:
    """Whether `path` is, or ends with, one of the paths `endings`: PEFT's rule for target_modules."""
    return any(f".{path}".endswith(f".{ending}") for ending in endings)


def _shorten(path: str) -> str:
    return ".".join(path.split(".")[-2:])
