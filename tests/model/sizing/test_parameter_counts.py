"""The counts of the memory estimate against transformers' own classes, with the published sizes and without weights."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

from emomodel.config import LINEAR_MODULES, LinearModule, TrainConfig
from emomodel.errors import ModelLoadFailed
from emomodel.model.adapter_targets import find_targets
from emomodel.sizing.layer_shapes import Sizes
from emomodel.sizing.memory import DatasetStats, estimate
from emomodel.sizing.memory_costs import FLOAT32_BYTES
from emomodel.sizing.model_shape import read_model_shape
from emomodel.sizing.towers import read_towers
from tests.support import base_configs as configs

pytestmark = pytest.mark.model

# Norms, biases and convolutions are not counted: at most this share of the parameters.
NOT_COUNTED = 0.001
PUBLISHED = {
    "Gemma 2 2B": configs.GEMMA_2_2B,
    "Gemma 3 1B": configs.GEMMA_3_1B,
    "Gemma 3 4B": configs.GEMMA_3_4B,
    "Gemma 3 27B": configs.GEMMA_3_27B,
    "Gemma 3n E4B, text": configs.GEMMA_3N_E4B_TEXT,
    "Gemma 4 E2B": configs.GEMMA_4_E2B,
    "Gemma 4 E4B": configs.GEMMA_4_E4B,
    "Gemma 4 31B": configs.GEMMA_4_31B,
    "Gemma 4 26B-A4B": configs.GEMMA_4_26B_A4B,
    "Llama 3.1 8B": configs.LLAMA_3_1_8B,
    "Mistral 7B": configs.MISTRAL_7B,
    "Qwen2.5 0.5B": configs.QWEN_2_5_05B,
    "Qwen3 4B": configs.QWEN_3_4B,
    "Qwen3 30B-A3B": configs.QWEN_3_30B_A3B,
    "Qwen3.5": configs.QWEN_3_5,
    "Phi-4-mini": configs.PHI_4_MINI,
    "gpt-oss 20B": configs.GPT_OSS_20B,
}
TOWER_WORDS = ("vision", "audio", "multi_modal_projector")


def make_model(config: dict[str, Any], model_class: Any = AutoModelForCausalLM) -> Any:
    """The model that a folder with this config.json loads, with parameters that have shapes only."""
    rest = {name: value for name, value in config.items() if name != "model_type"}
    with torch.device("meta"):
        return model_class.from_config(AutoConfig.for_model(config["model_type"], **rest))


def count_by_kind(model: Any) -> Counter[tuple[str, str]]:
    """The parameters by part (text or tower) and kind: `linear` are what bitsandbytes would quantise."""
    head = model.get_output_embeddings() if hasattr(model, "lm_head") else None
    seen: set[int] = set()
    counts: Counter[tuple[str, str]] = Counter()
    for path, module in model.named_modules():
        part = "tower" if any(word in path for word in TOWER_WORDS) else "text"
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if isinstance(module, nn.Embedding) or module is head:
                kind = "embedding"
            elif type(module) is nn.Linear:
                kind = "linear" if name == "weight" else "other"
            else:
                kind = "experts" if "experts" in path and not name.endswith("bias") else "other"
            counts[part, kind] += parameter.numel()
    return counts


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_counts_are_those_of_the_models_class(name: str) -> None:
    shape = read_model_shape(PUBLISHED[name])
    counts = count_by_kind(make_model(PUBLISHED[name]))
    assert shape.linear_count == counts["text", "linear"]
    assert shape.embedding_count == counts["text", "embedding"]
    assert sum(layer.expert_size * layer.expert_count for layer in shape.layers) == counts["text", "experts"]
    assert shape.towers.linear_count == counts["tower", "linear"]
    assert shape.parameter_count == pytest.approx(counts.total(), rel=NOT_COUNTED)
    assert shape.parameter_count <= counts.total()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_that_transformers_saved_gives_the_same_shape(name: str, tmp_path: Path) -> None:
    """It writes out the defaults, and Gemma 4's sizes by layer."""
    model = make_model(PUBLISHED[name])
    model.config.save_pretrained(tmp_path)
    assert read_model_shape(json.loads((tmp_path / "config.json").read_text())) == read_model_shape(PUBLISHED[name])


@pytest.mark.parametrize("names", [LINEAR_MODULES, *((name,) for name in LINEAR_MODULES)], ids=",".join)
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_adapter_has_the_size_that_peft_gives_it(name: str, names: tuple[LinearModule, ...]) -> None:
    model = make_model(PUBLISHED[name])
    config = TrainConfig(lora_modules=names, lora_rank=1)
    shape = read_model_shape(PUBLISHED[name])
    projection = shape.hidden_size * (shape.hidden_size // 2)
    counted = estimate(config, shape, DatasetStats(), "cpu").adapter // FLOAT32_BYTES - projection
    try:
        targets = find_targets(model, names)
    except ModelLoadFailed:
        assert counted == 0
        return
    excluded = re.compile(targets.excluded or "(?!)")
    adapted = [
        module
        for path, module in model.named_modules()
        if any(f".{path}".endswith(f".{target}") for target in targets.names) and not excluded.fullmatch(path)
    ]
    assert counted == sum(module.in_features + module.out_features for module in adapted)


def test_gemma_3ns_audio_tower_counts_as_its_class_does() -> None:
    """The model as a whole needs a library for its vision tower that is not installed here."""
    text_hidden = Sizes({"hidden_size": 2048}).get("hidden_size")
    towers = read_towers({"model_type": "gemma3n", "audio_config": configs.GEMMA_3N_AUDIO}, text_hidden)
    model = make_model(configs.GEMMA_3N_AUDIO, AutoModel)
    connection = configs.GEMMA_3N_AUDIO["hidden_size"] * text_hidden
    assert towers.linear_count - connection == count_by_kind(model)["text", "linear"]


def test_gemma_3n_with_its_towers_has_about_its_published_size() -> None:
    assert read_model_shape(configs.GEMMA_3N_E4B).parameter_count / 1e9 == pytest.approx(7.85, rel=0.01)
