"""The sizes of base models, read from their folders."""

import json
from pathlib import Path
from typing import Any

import pytest

from emomodel.sizing.model_shape import ModelShape, find_model_shape

GEMMA_1B = {
    "model_type": "gemma3_text",
    "hidden_size": 1152,
    "num_hidden_layers": 26,
    "intermediate_size": 6912,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "vocab_size": 262_144,
    "torch_dtype": "bfloat16",
}
# This is the config as Google publishes it: values that are transformers' defaults are left out.
GEMMA_4B = {
    "model_type": "gemma3",
    "architectures": ["Gemma3ForConditionalGeneration"],
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10_240,
        "num_hidden_layers": 34,
    },
    "vision_config": {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27},
    "torch_dtype": "bfloat16",
}
LLAMA_8B = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "intermediate_size": 14_336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128_256,
    "tie_word_embeddings": False,
}
QWEN_05B = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "intermediate_size": 4864,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, config: object) -> ModelShape | None:
    (folder / "config.json").write_text(json.dumps(config))
    return find_model_shape(folder)


@pytest.mark.parametrize(
    ("config", "billions"),
    # These are the numbers of parameters that the publishers of the models give.
    [(GEMMA_1B, 1.0), (GEMMA_4B, 4.3), (LLAMA_8B, 8.03), (QWEN_05B, 0.494)],
)
def test_the_sizes_make_the_number_of_parameters_that_the_model_has(
    folder: Path, config: dict[str, Any], billions: float
) -> None:
    shape = read(folder, config)
    assert shape is not None
    assert shape.parameter_count / 1e9 == pytest.approx(billions, rel=0.01)


def test_heads_have_the_size_that_is_given_or_their_share_of_the_hidden_size(folder: Path) -> None:
    gemma, llama = read(folder, GEMMA_1B), read(folder, LLAMA_8B)
    assert gemma is not None
    assert llama is not None
    assert (gemma.query_size, gemma.key_value_size) == (1024, 256)
    assert (llama.query_size, llama.key_value_size) == (4096, 1024)


def test_the_weights_files_have_precedence_over_the_sizes(folder: Path) -> None:
    (folder / "model-00001-of-00002.safetensors").write_bytes(b" " * 3000)
    (folder / "model-00002-of-00002.safetensors").write_bytes(b" " * 1000)
    shape = read(folder, GEMMA_1B)
    assert shape is not None
    assert shape.parameter_count == 2000


@pytest.mark.parametrize("config", [LLAMA_8B, GEMMA_1B | {"quantization_config": {"load_in_4bit": True}}])
def test_weights_files_of_unknown_precision_are_ignored(folder: Path, config: dict[str, Any]) -> None:
    (folder / "model.safetensors").write_bytes(b" " * 3000)
    shape = read(folder, config)
    assert shape is not None
    assert shape.file_count is None


@pytest.mark.parametrize(
    "config",
    [
        {},
        [],
        LLAMA_8B | {"hidden_size": None},
        LLAMA_8B | {"num_hidden_layers": "many"},
        {key: value for key, value in LLAMA_8B.items() if key != "vocab_size"},
        QWEN_05B | {"num_experts": 64},
        LLAMA_8B | {"num_local_experts": 8},
        {"text_config": None},
    ],
)
def test_a_model_of_an_unknown_kind_has_no_shape(folder: Path, config: object) -> None:
    assert read(folder, config) is None


def test_a_folder_without_a_readable_config_has_no_shape(folder: Path) -> None:
    assert find_model_shape(folder) is None
    (folder / "config.json").write_text("{")
    assert find_model_shape(folder) is None
