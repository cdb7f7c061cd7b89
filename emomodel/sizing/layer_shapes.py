"""The layers of a base model: the sizes of their matrices, by the values in its config.json.

Sources: the modeling modules of transformers 5.17. tests/model/sizing compares the counts with those of its classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_QUERY_KEY_VALUE = ("q_proj", "k_proj", "v_proj")
_GATE_UP = ("gate_proj", "up_proj")


class SizeUnknown(Exception):
    """The config lacks a size, or has something else in its place."""


class Sizes:
    """The sizes in a config or a part of one."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def get(self, *names: str) -> int:
        """The first of these sizes that is given. Raises SizeUnknown."""
        for name in names:
            if found := self.find(name):
                return found
        raise SizeUnknown(names[0])

    def find(self, name: str) -> int:
        """The size, or 0 if it is missing or null. Raises SizeUnknown for what is no size."""
        value = self.values.get(name) or 0
        if not isinstance(value, int) or value < 0:
            raise SizeUnknown(name)
        return value

    def get_at(self, name: str, index: int) -> int:
        """The size of layer `index`, where the config gives one for all layers or a list. Raises SizeUnknown."""
        value = self.values.get(name)
        return Sizes({name: value[index]} if isinstance(value, list) and index < len(value) else self.values).get(name)

    def find_list(self, name: str) -> Sequence[Any]:
        """The list, or an empty one if it is missing or null."""
        value = self.values.get(name)
        return value if isinstance(value, list) else ()


@dataclass(frozen=True)
class LinearShape:
    """One linear module, and the names in lora_modules that stand for it; without one, it gets no adapter."""

    width: int
    height: int
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        return self.width * self.height


@dataclass(frozen=True)
class LayerShape:
    """One layer. Its sizes are those of the queries, keys and MLP that it computes per token.

    In a mixture of experts, `intermediate_size` is that of all the MLPs that a token passes, of which `expert_uses` are
    experts, each with `expert_size` parameters; the layer has `expert_count` of them.
    """

    linear: tuple[LinearShape, ...]
    query_size: int
    key_value_size: int
    intermediate_size: int
    expert_size: int = 0
    expert_count: int = 0
    expert_uses: int = 0
    router_count: int = 0
    """The parameters of a router that is no linear module."""

    @property
    def linear_count(self) -> int:
        """The parameters of the linear modules."""
        return sum(linear.count for linear in self.linear)

    @property
    def other_count(self) -> int:
        """The parameters of experts and router, which are no linear modules."""
        return self.expert_size * self.expert_count + self.router_count


def read_layers(kind: str, text: Sizes) -> tuple[LayerShape, ...]:
    """The layers of the text model of a model_type, from the part of its config. Raises SizeUnknown."""
    return tuple(_read_layer(kind, text, index) for index in range(text.get("num_hidden_layers")))


def _read_layer(kind: str, text: Sizes, index: int) -> LayerShape:
    hidden = text.get("hidden_size")
    further: list[LinearShape] = []
    if kind == "gemma3n_text":
        further = _list_gemma3n(text)
    if per_layer := text.find("hidden_size_per_layer_input"):
        further += [LinearShape(hidden, per_layer), LinearShape(per_layer, hidden)]
    attention, query, key_value = _read_attention(kind, text, index)
    linear, intermediate = _read_mlp(kind, text, index)
    layer = LayerShape((*attention, *linear, *further), query, key_value, intermediate)
    return _add_experts(kind, text, index, layer)


def _list_gemma3n(text: Sizes) -> list[LinearShape]:
    """The low-rank residual (LAuReL), and the predictor of the other streams (AltUp)."""
    hidden, rank, streams = text.get("hidden_size"), text.get("laurel_rank"), text.get("altup_num_inputs")
    return [
        LinearShape(hidden, rank),
        LinearShape(rank, hidden),
        LinearShape(hidden, streams),
        LinearShape(streams, streams),
        LinearShape(streams, streams**2),
    ]


def _read_attention(kind: str, text: Sizes, index: int) -> tuple[list[LinearShape], int, int]:
    """The linear modules of a layer's attention, the size of its queries, and that of its keys."""
    if _is_linear_attention(kind, text, index):
        return _read_linear_attention(text)
    hidden, heads = text.get("hidden_size"), text.get("num_attention_heads")
    head, key_heads, has_values = _read_heads(kind, text, index)
    query, key_value = heads * head, key_heads * head
    output = LinearShape(query, hidden, ("o_proj",))
    if kind == "phi3":
        return [LinearShape(hidden, query + 2 * key_value, _QUERY_KEY_VALUE), output], query, key_value
    # Qwen3.5's queries come with a gate of the same size.
    gate = query if kind == "qwen3_5_text" else 0
    linear = [LinearShape(hidden, query + gate, ("q_proj",)), output]
    if index < text.get("num_hidden_layers") - text.find("num_kv_shared_layers"):
        linear.append(LinearShape(hidden, key_value, ("k_proj",)))
        if has_values:
            linear.append(LinearShape(hidden, key_value, ("v_proj",)))
        return linear, query + gate, key_value
    # The keys and values are those of an earlier layer.
    return linear, query, 0


def _read_heads(kind: str, text: Sizes, index: int) -> tuple[int, int, bool]:
    """The size of a head, the number of key heads, and whether the values have a matrix of their own."""
    heads = text.get("num_attention_heads")
    head = text.find("head_dim") or text.get("hidden_size") // heads
    key_heads = text.find("num_key_value_heads") or heads
    if kind != "gemma4_text" or not _is_full_attention(text, index):
        return head, key_heads, True
    shares = bool(text.values.get("attention_k_eq_v"))
    own = text.values.get("per_layer_config")
    if isinstance(own, dict):
        # The form in which transformers 5 saves a config; its keys are numbers with leading zeros.
        layer = Sizes(next((sizes for key, sizes in own.items() if key.isdigit() and int(key) == index), {}))
        return layer.find("head_dim") or head, layer.find("num_key_value_heads") or key_heads, not shares
    global_heads = text.find("num_global_key_value_heads") if shares else 0
    return text.get("global_head_dim"), global_heads or key_heads, not shares


def _is_full_attention(text: Sizes, index: int) -> bool:
    """Whether a layer of Gemma 4 sees all tokens. Without a list, each sixth does, and the last always."""
    types = text.find_list("layer_types")
    if index == text.get("num_hidden_layers") - 1:
        return True
    return types[index] == "full_attention" if index < len(types) else (index + 1) % 6 == 0


def _is_linear_attention(kind: str, text: Sizes, index: int) -> bool:
    """Whether a layer of Qwen3.5 has linear attention. Without a list, three of four have."""
    types = text.find_list("layer_types")
    if kind != "qwen3_5_text":
        return False
    interval = text.find("full_attention_interval") or 4
    return types[index] == "linear_attention" if index < len(types) else (index + 1) % interval != 0


def _read_linear_attention(text: Sizes) -> tuple[list[LinearShape], int, int]:
    hidden, value_heads = text.get("hidden_size"), text.get("linear_num_value_heads")
    value = value_heads * text.get("linear_value_head_dim")
    key = text.get("linear_num_key_heads") * text.get("linear_key_head_dim")
    linear = [
        LinearShape(hidden, 2 * key + value, _QUERY_KEY_VALUE),
        LinearShape(hidden, value),
        LinearShape(hidden, value_heads),
        LinearShape(hidden, value_heads),
        LinearShape(value, hidden, ("o_proj",)),
    ]
    return linear, 2 * value, key


def _read_mlp(kind: str, text: Sizes, index: int) -> tuple[list[LinearShape], int]:
    """The linear modules of a layer's MLP, and its size."""
    if kind in ("qwen3_moe", "gpt_oss") and _has_experts(kind, text, index):
        return [], 0
    hidden, size = text.get("hidden_size"), text.get_at("intermediate_size", index)
    first_shared = text.get("num_hidden_layers") - text.find("num_kv_shared_layers")
    if kind == "gemma4_text" and text.values.get("use_double_wide_mlp") and index >= first_shared:
        size *= 2
    down = LinearShape(size, hidden, ("down_proj",))
    if kind == "phi3":
        return [LinearShape(hidden, 2 * size, _GATE_UP), down], size
    return [*(LinearShape(hidden, size, (name,)) for name in _GATE_UP), down], size


def _has_experts(kind: str, text: Sizes, index: int) -> bool:
    if kind == "gemma4_text":
        return bool(text.values.get("enable_moe_block"))
    if kind != "qwen3_moe":
        return kind == "gpt_oss"
    step = text.find("decoder_sparse_step") or 1
    return index not in text.find_list("mlp_only_layers") and (index + 1) % step == 0


def _add_experts(kind: str, text: Sizes, index: int, layer: LayerShape) -> LayerShape:
    """The layer with its experts, each of which has gate, up and down matrices."""
    if not _has_experts(kind, text, index):
        return layer
    hidden, count = text.get("hidden_size"), text.get("num_local_experts", "num_experts")
    uses, size = (
        text.get("num_experts_per_tok", "top_k_experts"),
        text.get("moe_intermediate_size", "intermediate_size"),
    )
    router = LinearShape(hidden, count)
    return LayerShape(
        (*layer.linear, router) if kind == "gemma4_text" else layer.linear,
        layer.query_size,
        layer.key_value_size,
        layer.intermediate_size + uses * size,
        expert_size=3 * hidden * size,
        expert_count=count,
        expert_uses=uses,
        router_count=0 if kind == "gemma4_text" else router.count,
    )
