"""The sizes of base models, read from their folders."""

import json
from pathlib import Path
from typing import Any

import pytest

from emomodel.sizing.model_shape import ModelShape, find_model_shape, read_model_shape
from tests.support import base_configs as configs
from tests.support.base_configs import GEMMA_3_1B as GEMMA_1B
from tests.support.base_configs import LLAMA_3_1_8B as LLAMA_8B
from tests.support.base_configs import QWEN_2_5_05B as QWEN_05B


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, config: object) -> ModelShape | None:
    (folder / "config.json").write_text(json.dumps(config))
    return find_model_shape(folder)


@pytest.mark.parametrize(
    ("config", "billions"),
    # These are the numbers of parameters that the publishers of the models give.
    [
        (GEMMA_1B, 1.0),
        (configs.GEMMA_3_4B, 4.3),
        (configs.GEMMA_3_27B, 27.4),
        (configs.GEMMA_3N_E4B, 7.85),
        (configs.GEMMA_4_E2B, 5.1),
        (configs.GEMMA_4_31B, 31.3),
        (configs.GEMMA_4_26B_A4B, 25.8),
        (LLAMA_8B, 8.03),
        (QWEN_05B, 0.494),
        (configs.QWEN_3_4B, 4.02),
        (configs.QWEN_3_30B_A3B, 30.5),
        (configs.PHI_4_MINI, 3.84),
        (configs.GPT_OSS_20B, 20.9),
    ],
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
    assert {(layer.query_size, layer.key_value_size) for layer in gemma.layers} == {(1024, 256)}
    assert {(layer.query_size, layer.key_value_size) for layer in llama.layers} == {(4096, 1024)}


def test_layers_that_see_all_tokens_have_larger_heads_and_shared_layers_no_keys(folder: Path) -> None:
    shape = read(folder, configs.GEMMA_4_E2B)
    assert shape is not None
    sizes = [(layer.query_size, layer.key_value_size, layer.intermediate_size) for layer in shape.layers]
    sliding, full = (8 * 256, 256, 6144), (8 * 512, 512, 6144)
    assert sizes[:15] == ([sliding] * 4 + [full]) * 3
    assert sizes[15:] == ([(2048, 0, 12_288)] * 4 + [(4096, 0, 12_288)]) * 4


def test_a_token_is_multiplied_with_the_experts_that_it_passes(folder: Path) -> None:
    shape = read(folder, configs.QWEN_3_30B_A3B)
    assert shape is not None
    assert shape.used_count / 1e9 == pytest.approx(3.0, rel=0.05)


def test_a_model_that_is_loaded_without_its_towers_has_none(folder: Path) -> None:
    config = {"model_type": "qwen3_5", "text_config": configs.QWEN_3_5, "vision_config": {"depth": 27}}
    (folder / "model.safetensors").write_bytes(b" " * 3000)
    assert read(folder, config | {"dtype": "bfloat16"}) == read_model_shape(configs.QWEN_3_5)


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
        LLAMA_8B | {"model_type": "deepseek_v3", "kv_lora_rank": 512},
        LLAMA_8B | {"model_type": "jamba", "mamba_d_state": 16},
        configs.QWEN_3_30B_A3B | {"moe_intermediate_size": "many", "num_experts": None},
        configs.GEMMA_4_E2B | {"vision_config": {"hidden_size": 768}},
        configs.GEMMA_3_4B | {"vision_config": configs.GEMMA_3_4B["vision_config"] | {"patch_size": 0}},
        configs.GEMMA_4_E2B | {"text_config": []},
        {"text_config": None},
    ],
)
def test_a_model_of_an_unknown_kind_has_no_shape(folder: Path, config: object) -> None:
    assert read(folder, config) is None


def test_a_folder_without_a_readable_config_has_no_shape(folder: Path) -> None:
    assert find_model_shape(folder) is None
    (folder / "config.json").write_text("{")
    assert find_model_shape(folder) is None
