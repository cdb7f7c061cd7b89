"""ModelShape: the sizes of a base model, read from the config in its folder without loading it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The bytes of a parameter in a weights file, by the type's name in the config.
_FILE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}

# transformers' defaults for Gemma 3 (Gemma3TextConfig). A config may omit these values, as those of Google's models for
# text and images do.
_GEMMA3_DEFAULTS: dict[str, Any] = {
    "vocab_size": 262_208,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "tie_word_embeddings": True,
}
_GEMMA3_TYPES = ("gemma3", "gemma3_text")


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a causal transformer. Counts are of parameters."""

    hidden_size: int
    layer_count: int
    intermediate_size: int
    query_size: int
    """The number of query heads times the head size."""
    key_value_size: int
    """The number of key heads times the head size; the values take as much again."""
    vocab_size: int
    tied_embeddings: bool
    vision_count: int
    """The parameters outside the text model: a vision tower, and its connection to the text model."""
    file_count: int | None
    """All parameters of the model, from the sizes of its weights files; None if unknown."""

    @property
    def linear_sizes(self) -> dict[str, tuple[int, int]]:
        """The input and output width of each linear module of a layer, by the module's name for LoRA."""
        hidden, query, key_value = self.hidden_size, self.query_size, self.key_value_size
        return {
            "q_proj": (hidden, query),
            "k_proj": (hidden, key_value),
            "v_proj": (hidden, key_value),
            "o_proj": (query, hidden),
            "gate_proj": (hidden, self.intermediate_size),
            "up_proj": (hidden, self.intermediate_size),
            "down_proj": (self.intermediate_size, hidden),
        }

    @property
    def linear_count(self) -> int:
        """The parameters of the layers' linear modules, which 4-bit loading quantises."""
        return self.layer_count * sum(width * height for width, height in self.linear_sizes.values())

    @property
    def embedding_count(self) -> int:
        """The parameters of the embeddings, and of the head if it is a separate matrix."""
        return self.vocab_size * self.hidden_size * (1 if self.tied_embeddings else 2)

    @property
    def parameter_count(self) -> int:
        """The parameters of the model. Without weights files, norms and biases are not counted."""
        return self.file_count or self.linear_count + self.embedding_count + self.vision_count


def find_model_shape(folder: Path, weights_bytes: int | None = None) -> ModelShape | None:
    """The shape of the model in `folder`, or None if its config.json is missing, broken or of an unsupported kind.

    `weights_bytes` is the size of the weights files if they are not in `folder`. Supported are Gemma 3 (for text, and
    for text and images), Llama, Qwen and models with the same layers and names. Mixtures of experts are not: how many
    experts a step keeps in memory depends on the text.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict):
        return None
    if weights_bytes is None:
        weights_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return _read_shape(config, weights_bytes)


def _read_shape(config: dict[str, Any], file_bytes: int) -> ModelShape | None:
    text = config.get("text_config", config)
    if not isinstance(text, dict) or any("expert" in key for key in text):
        return None
    is_gemma3 = text.get("model_type", config.get("model_type")) in _GEMMA3_TYPES
    text = (_GEMMA3_DEFAULTS if is_gemma3 else {}) | text
    hidden, heads = _find_size(text, "hidden_size"), _find_size(text, "num_attention_heads")
    layers, intermediate = _find_size(text, "num_hidden_layers"), _find_size(text, "intermediate_size")
    vocab = _find_size(text, "vocab_size")
    if hidden is None or heads is None or layers is None or intermediate is None or vocab is None:
        return None
    head_size = _find_size(text, "head_dim") or hidden // heads
    vision = config.get("vision_config")
    return ModelShape(
        hidden_size=hidden,
        layer_count=layers,
        intermediate_size=intermediate,
        query_size=heads * head_size,
        key_value_size=(_find_size(text, "num_key_value_heads") or heads) * head_size,
        vocab_size=vocab,
        tied_embeddings=config.get("tie_word_embeddings", text.get("tie_word_embeddings", False)) is True,
        vision_count=_count_vision(vision, hidden) if isinstance(vision, dict) else 0,
        file_count=_count_in_files(config, text, file_bytes),
    )


def _find_size(config: dict[str, Any], name: str) -> int | None:
    value = config.get(name)
    return value if isinstance(value, int) and value > 0 else None


def _count_vision(vision: dict[str, Any], text_hidden: int) -> int:
    """The parameters of a vision transformer's layers (four attention matrices, two of the MLP) and of its projection.

    Its patch and position embeddings are omitted; they are less than a hundredth.
    """
    sizes = [_find_size(vision, name) for name in ("hidden_size", "num_hidden_layers", "intermediate_size")]
    hidden, layers, intermediate = (size or 0 for size in sizes)
    return layers * (4 * hidden**2 + 2 * hidden * intermediate) + hidden * text_hidden


def _count_in_files(config: dict[str, Any], text: dict[str, Any], file_bytes: int) -> int | None:
    """The number of parameters by file size; None without weights, or for quantised ones, whose size is no measure."""
    word = config.get("dtype") or config.get("torch_dtype") or text.get("dtype") or text.get("torch_dtype")
    size = _FILE_BYTES.get(word) if isinstance(word, str) else None
    if not file_bytes or size is None or "quantization_config" in config:
        return None
    return math.ceil(file_bytes / size)
