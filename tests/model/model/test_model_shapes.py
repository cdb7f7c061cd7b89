"""Trainings of base models other than Gemma's text models: Llama, Qwen, and Gemma for text and images."""

import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
)

from emomodel.batches.collator import DataCollatorForEmotionalGemma
from emomodel.config import make_config
from emomodel.emotions import DEFAULT_AXES
from emomodel.generation.generate import generate
from emomodel.generation.loaded_bundle import load_bundle
from emomodel.generation.sampling import Sampling
from emomodel.model.loading import LoadedBaseModel, load_base_model
from emomodel.model.prepare import make_emotional_model
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.sample_loading import load_samples
from emomodel.training.train import run_training
from tests.model.model_shapes import SHAPE_CONFIG, SHAPES, save_shape
from tests.model.tiny_training import TINY_CONFIG, ListReporter, make_request

pytestmark = pytest.mark.model

WEIGHTS_PER_LAYER = 7 * 2


@dataclass(frozen=True)
class Shaped:
    """The folder of a base model, and the output of a training on it."""

    name: str
    base: Path
    request: TrainRequest
    losses: list[float]

    @property
    def adapter(self) -> Path:
        return self.request.output_dir / "adapter"


def load(folder: Path) -> LoadedBaseModel:
    return load_base_model(str(folder), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shaped:
    folder = tmp_path_factory.mktemp("shape")
    save_shape(request.param, folder / "base")
    job = make_request(folder, folder / "base", **SHAPE_CONFIG)
    reporter = ListReporter()
    run_training(job, reporter, RunRequests())
    losses = [line.loss for line in reporter.progress if isinstance(line, Metric)]
    return Shaped(request.param, folder / "base", job, losses)


def test_it_learns(shaped: Shaped) -> None:
    assert shaped.losses[-1] < shaped.losses[0] / 3


def test_the_adapter_is_on_the_text_layers_and_on_no_others(shaped: Shaped) -> None:
    keys = load_file(shaped.adapter / "adapter_model.safetensors").keys()
    assert len(keys) == 2 * WEIGHTS_PER_LAYER
    assert [key for key in keys if "vision" in key or "projector" in key] == []


def test_plain_peft_takes_the_adapter_without_a_warning_and_equals_neutral(
    shaped: Shaped, caplog: pytest.LogCaptureFixture
) -> None:
    base = AutoModelForCausalLM.from_pretrained(shaped.base, dtype=torch.float32)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        plain = PeftModel.from_pretrained(base, str(shaped.adapter)).eval()
    assert caplog.records == []
    ours = load_bundle(shaped.request.output_dir, base=str(shaped.base))
    ids = torch.arange(20, 40).unsqueeze(0)
    with torch.inference_mode():
        expected = plain(input_ids=ids).logits
        neutral = torch.tensor([ours.axes.neutral] * 20).unsqueeze(0)
        assert torch.equal(ours.model(input_ids=ids, emotion_vector=neutral).logits, expected)
        with plain.disable_adapter():
            assert (plain(input_ids=ids).logits - expected).abs().max() > 0.1


def test_the_bundle_writes_by_the_emotion(shaped: Shaped) -> None:
    loaded = load_bundle(shaped.request.output_dir, base=str(shaped.base))
    emotions = [loaded.axes.vector({"joy": 0.9}), loaded.axes.vector({"sadness": 0.9})]
    joyful, sad = generate(loaded, ["How was the concert?"] * 2, emotions, Sampling(max_new_tokens=24, temperature=0))
    assert "happy" in joyful
    assert "sad" in sad


def test_only_adapter_and_projection_are_trained(shaped: Shaped) -> None:
    base = load(shaped.base)
    model = make_emotional_model(base, make_config("default", TINY_CONFIG), len(DEFAULT_AXES))
    assert model.wrapper.get_input_embeddings()(torch.tensor([[20]])).shape == (1, 1, base.hidden_size)
    trained = [name for name, parameter in model.peft_model.named_parameters() if parameter.requires_grad]
    assert [name for name in trained if "lora_" not in name and "emotion_proj_embed" not in name] == []
    assert [name for name in trained if "vision" in name or "projector" in name] == []


@pytest.mark.parametrize("item_count", [None, 1000])
def test_the_loss_is_the_base_models_own(shaped: Shaped, tmp_path: Path, item_count: int | None) -> None:
    """It is the mean over the labels or a part of a step's mean, with each way in which the wrapper computes it."""
    base = load(shaped.base)
    model = make_emotional_model(base, make_config("default", TINY_CONFIG), len(DEFAULT_AXES))
    samples = load_samples(make_request(tmp_path, shaped.base), base, DEFAULT_AXES, ListReporter()).training.samples[:4]
    batch = DataCollatorForEmotionalGemma(base.tokenizer.pad_token_id, len(DEFAULT_AXES))(samples)
    share = {} if item_count is None else {"num_items_in_batch": torch.tensor(item_count)}
    ours = model.peft_model(**batch, **share).loss
    # A new adapter and a new projection have no effect yet.
    own = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
    expected = load(shaped.base).model(**own, **share, use_cache=False).loss
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)


def test_the_adapter_config_names_the_base_model(shaped: Shaped) -> None:
    config = json.loads((shaped.adapter / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["task_type"]) == ("tiny-gemma", "CAUSAL_LM")
