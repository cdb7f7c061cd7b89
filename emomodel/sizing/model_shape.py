"""ModelShape: the sizes of a base model, read from the config in its folder without loading it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomodel.sizing.layer_shapes import LayerShape, Sizes, SizeUnknown, read_layers
from emomodel.sizing.towers import NO_TOWERS, Towers, read_towers

# The bytes of a parameter in a weights file, by the type's name in the config.
_FILE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

# The model_type of the text part of a model for text and images, where the part doesn't say it.
_TEXT_KINDS = {"gemma3": "gemma3_text", "gemma3n": "gemma3n_text", "gemma4": "gemma4_text", "qwen3_5": "qwen3_5_text"}
# transformers' defaults for values that a config may omit, as those of Google's models for text and images do.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "gemma": {"tie_word_embeddings": True},
    "gemma2": {"tie_word_embeddings": True},
    "gemma3_text": {
        "vocab_size": 262_208,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "tie_word_embeddings": True,
    },
    "gemma3n_text": {
        "vocab_size": 262_400,
        "hidden_size": 2048,
        "intermediate_size": 16_384,
        "num_hidden_layers": 35,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "vocab_size_per_layer_input": 262_144,
        "hidden_size_per_layer_input": 256,
        "altup_num_inputs": 4,
        "num_kv_shared_layers": 15,
        "laurel_rank": 64,
        "tie_word_embeddings": True,
    },
    "gemma4_text": {
        "vocab_size": 262_144,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "global_head_dim": 512,
        "vocab_size_per_layer_input": 262_144,
        "hidden_size_per_layer_input": 256,
        "tie_word_embeddings": True,
    },
}
# Kinds whose layers differ from those of Llama. Of any other kind, a config with one of the words describes layers that
# can't be read here: experts, recurrent or low-rank attention, layers that share something.
_KNOWN_KINDS = {*_DEFAULTS, "qwen3_moe", "gpt_oss", "phi3", "qwen3_5_text"}
_UNKNOWN_WORDS = ("expert", "moe", "linear_", "ssm", "mamba", "lora_rank", "per_layer", "kv_shared", "global_head")
# Kinds whose examples would see each other in one row, so that they are neither packed nor accelerated: a linear
# attention carries a state from one to the next, and transformers makes gpt-oss's masks without looking at positions.
_UNPACKED_KINDS = ("qwen3_5_text", "gpt_oss")
# It is packed, but not accelerated: no attention without a mask has the soft cap of its scores.
_UNACCELERATED_KIND = "gemma2"


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a causal transformer. Counts are of parameters."""

    hidden_size: int
    layers: tuple[LayerShape, ...]
    vocab_size: int
    tied_embeddings: bool
    per_layer_size: int = 0
    """The size of the input that each layer gets for the token itself; 0 where layers get none."""
    per_layer_vocab_size: int = 0
    stream_count: int = 1
    """The hidden states that run through the layers beside each other."""
    is_packable: bool = True
    """Whether the examples of a batch can be joined into one row."""
    is_accelerable: bool = True
    """Whether emomodel.training.acceleration fits the model."""
    towers: Towers = NO_TOWERS
    file_count: int | None = None
    """All parameters of the model, from the sizes of its weights files; None if unknown."""

    @property
    def linear_count(self) -> int:
        """The parameters of the text model's linear modules but for the head, which 4-bit loading quantises."""
        per_layer = self.hidden_size * len(self.layers) * self.per_layer_size
        # Each further stream has a matrix before the layers, and one after them.
        streams = 2 * (self.stream_count - 1) * self.hidden_size**2
        return sum(layer.linear_count for layer in self.layers) + per_layer + streams

    @property
    def embedding_count(self) -> int:
        """The parameters of the embeddings, and of the head if it is a separate matrix."""
        per_layer = self.per_layer_vocab_size * len(self.layers) * self.per_layer_size
        return self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2) + per_layer

    @property
    def parameter_count(self) -> int:
        """The parameters of the model. Without weights files, norms and biases are not counted."""
        return self.file_count or (
            self.linear_count
            + sum(layer.other_count for layer in self.layers)
            + self.embedding_count
            + self.towers.linear_count
            + self.towers.other_count
        )

    @property
    def used_count(self) -> int:
        """The parameters that one token is multiplied with: of experts, those that it passes, and the head."""
        experts = sum(layer.expert_size * layer.expert_uses for layer in self.layers)
        return self.linear_count + experts + self.vocab_size * self.hidden_size


def find_model_shape(folder: Path, weights_bytes: int | None = None) -> ModelShape | None:
    """The shape of the model in `folder`, or None if its config.json is missing, broken or of an unsupported kind.

    `weights_bytes` is the size of the weights files if they are not in `folder`. Supported are all kinds in
    docs/models.md, and models with the layers and names of Llama.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    if weights_bytes is None:
        weights_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    try:
        return read_model_shape(config, weights_bytes)
    except SizeUnknown:
        return None


def read_model_shape(config: dict[str, Any], file_bytes: int = 0) -> ModelShape:
    """The shape of a model with the config.json `config` and `file_bytes` of weights. Raises SizeUnknown."""
    text = config.get("text_config", config)
    if not isinstance(text, dict):
        raise SizeUnknown("text_config")
    top = str(config.get("model_type"))
    kind = str(text.get("model_type") or _TEXT_KINDS.get(top, top))
    kind = _TEXT_KINDS.get(kind, kind)
    if kind not in _KNOWN_KINDS and any(word in key for key in text for word in _UNKNOWN_WORDS):
        raise SizeUnknown(kind)
    text = _DEFAULTS.get(kind, {}) | text
    sizes = Sizes(text)
    hidden = sizes.get("hidden_size")
    # transformers loads Qwen3.5 without its vision tower, even if its files have one.
    is_text_alone = kind == "qwen3_5_text"
    per_layer = sizes.find("hidden_size_per_layer_input")
    return ModelShape(
        hidden_size=hidden,
        layers=read_layers(kind, sizes),
        vocab_size=sizes.get("vocab_size"),
        tied_embeddings=config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)) is True,
        per_layer_size=per_layer,
        per_layer_vocab_size=sizes.get("vocab_size_per_layer_input") if per_layer else 0,
        stream_count=sizes.find("altup_num_inputs") or 1,
        is_packable=kind not in _UNPACKED_KINDS,
        is_accelerable=kind not in (*_UNPACKED_KINDS, _UNACCELERATED_KIND),
        towers=NO_TOWERS if is_text_alone else read_towers(config, hidden),
        file_count=None if is_text_alone else _count_in_files(config, text, file_bytes),
    )


def _count_in_files(config: dict[str, Any], text: dict[str, Any], file_bytes: int) -> int | None:
    """The number of parameters by file size; None without weights, or for quantised ones, whose size is no measure."""
    word = config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    size = _FILE_BYTES.get(word) if isinstance(word, str) else None
    if not file_bytes or size is None or "quantization_config" in config:
        return None
    return math.ceil(file_bytes / size)
