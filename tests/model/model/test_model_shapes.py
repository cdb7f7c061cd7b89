"""Trainings of base models of every supported kind: one each, which is stopped and resumed."""

import json
import logging
import re
import warnings
from collections import Counter
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
from emomodel.batches.packing import PackingCollator, Shape
from emomodel.config import LINEAR_MODULES, make_config
from emomodel.emotions import DEFAULT_AXES
from emomodel.errors import ModelLoadFailed
from emomodel.generation.generate import generate
from emomodel.generation.loaded_bundle import load_bundle
from emomodel.generation.sampling import Sampling
from emomodel.model.loading import LoadedBaseModel, load_base_model
from emomodel.model.prepare import make_emotional_model
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import (
    METRICS_FILE,
    RESUMED,
    SAVE_AND_STOP_REQUEST,
    Metric,
    Notice,
    Progress,
    read_metrics,
)
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.probes import keeps_examples_apart
from emomodel.training.sample_loading import load_samples
from emomodel.training.train import run_training
from tests.model.cached_logits import assert_cached_logits_equal_a_full_forward
from tests.model.model_shapes import SHAPE_CONFIG, SHAPES, save_shape
from tests.model.packed_samples import AXES, assert_alike, learn, make_samples, wrap_for_training
from tests.model.tiny_training import TINY_CONFIG, ListReporter, make_request
from tests.model.training.resuming import finish, interrupt

pytestmark = pytest.mark.model

# The first part of each training, in steps, and how long the training that it is compared with goes on after it.
STOPPED_AFTER, COMPARED = 2, 3
# The decoder layers in which something gets an adapter, where that isn't each of the seven modules in both layers.
_IN_ALL: dict[str, int] = dict.fromkeys(LINEAR_MODULES, 2)
ADAPTED: dict[str, dict[str, int]] = {
    "gemma3n": _IN_ALL | dict.fromkeys(LINEAR_MODULES, 4) | {"k_proj": 2, "v_proj": 2},
    "gemma4": _IN_ALL | dict.fromkeys(LINEAR_MODULES, 4) | {"k_proj": 2, "v_proj": 2},
    "gemma4 dense": _IN_ALL | {"v_proj": 1},
    "gemma4 moe": _IN_ALL | {"v_proj": 1},
    "phi3": {"qkv_proj": 2, "o_proj": 2, "gate_up_proj": 2, "down_proj": 2},
    "qwen3 moe": {"q_proj": 2, "k_proj": 2, "v_proj": 2, "o_proj": 2},
    "qwen3.5": {
        **dict.fromkeys(("in_proj_qkv", "out_proj", "q_proj", "k_proj", "v_proj", "o_proj"), 1),
        **dict.fromkeys(("gate_proj", "up_proj", "down_proj"), 2),
    },
    "gpt-oss": {"q_proj": 2, "k_proj": 2, "v_proj": 2, "o_proj": 2},
}
_EXPERTS = "Not adapted: experts.gate_up_proj, experts.down_proj in all 2 layers, since experts get no adapter."
GAPS = {
    "gemma4 moe": "The adapter trains q_proj, k_proj, o_proj, gate_proj, up_proj, down_proj in all 2 layers, v_proj in "
    f"1 of 2 layers. {_EXPERTS}",
    "qwen3 moe": f"The adapter trains q_proj, k_proj, v_proj, o_proj in all 2 layers. {_EXPERTS}",
    "gpt-oss": f"The adapter trains q_proj, k_proj, v_proj, o_proj in all 2 layers. {_EXPERTS}",
}


OTHER_PARTS = re.compile("vision|audio|projector")
# Linear attention carries a state over, and transformers' gpt-oss makes its masks without looking at the positions.
MIXING = {"qwen3.5", "gpt-oss"}


@dataclass(frozen=True)
class Shaped:
    """The folder of a base model, and the output and the reports of a training on it."""

    name: str
    base: Path
    request: TrainRequest
    progress: list[Progress]

    @property
    def adapter(self) -> Path:
        return self.request.output_dir / "adapter"

    def list_losses(self) -> list[float]:
        return [metric.loss for metric in read_metrics(self.request.output_dir / METRICS_FILE)]


def load(folder: Path) -> LoadedBaseModel:
    return load_base_model(str(folder), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)


def make_job(folder: Path, base: Path) -> TrainRequest:
    """A request with checkpoints; dropout draws random numbers at each step."""
    job = make_request(folder, base, **SHAPE_CONFIG, lora_dropout=0.01)
    return job.model_copy(update={"checkpoint_dir": folder / "checkpoints"})


@pytest.fixture(scope="module", params=SHAPES)
def shaped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shaped:
    folder = tmp_path_factory.mktemp("shape")
    save_shape(request.param, folder / "base")
    job = make_job(folder, folder / "base")
    first = interrupt(job, after=STOPPED_AFTER, by=SAVE_AND_STOP_REQUEST)
    _, second = finish(job)
    return Shaped(request.param, folder / "base", job, first.progress + second.progress)


def test_it_learns(shaped: Shaped) -> None:
    losses = shaped.list_losses()
    assert losses[-1] < losses[0] / 3


def test_it_resumes_to_the_same_losses(shaped: Shaped, tmp_path: Path) -> None:
    uninterrupted = interrupt(make_job(tmp_path, shaped.base), after=STOPPED_AFTER + COMPARED)
    losses = [line.loss for line in uninterrupted.progress if isinstance(line, Metric)]
    assert len(losses) >= STOPPED_AFTER + COMPARED - 1
    assert shaped.list_losses()[: len(losses)] == losses


def test_the_adapter_is_on_what_was_named_in_the_decoders_layers_and_on_no_others(shaped: Shaped) -> None:
    keys = load_file(shaped.adapter / "adapter_model.safetensors").keys()
    modules = {key.rpartition(".lora_")[0] for key in keys}
    assert len(keys) == 2 * len(modules)
    assert [name for name in modules if ".layers." not in name or OTHER_PARTS.search(name)] == []
    counts = Counter(name.rpartition(".")[2] for name in modules)
    assert counts == ADAPTED.get(shaped.name, _IN_ALL)


def test_a_notice_names_layers_without_an_adapter_and_there_is_no_other(shaped: Shaped) -> None:
    notices = [(line.code, line.message) for line in shaped.progress if isinstance(line, Notice)]
    gap = GAPS.get(shaped.name)
    of_each_run = [] if gap is None else [("layers_not_adapted", gap)]
    assert notices == [*of_each_run, *of_each_run, (RESUMED, f"the training resumes from checkpoint-{STOPPED_AFTER}")]


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


def test_cached_logits_are_those_of_a_full_forward(shaped: Shaped) -> None:
    assert_cached_logits_equal_a_full_forward(load_bundle(shaped.request.output_dir, base=str(shaped.base)), 20)


def test_packed_examples_are_computed_as_alone_or_refused(shaped: Shaped, tmp_path: Path) -> None:
    base = load(shaped.base)
    wrapper = wrap_for_training(base.model)
    samples = make_samples()
    collate = DataCollatorForEmotionalGemma(base.tokenizer.pad_token_id, AXES)
    alone = learn(wrapper, [collate([sample]) for sample in samples])
    assert_alike(learn(wrapper, [collate(samples)]), alone)
    assert keeps_examples_apart(wrapper, marks_pieces=False) == (shaped.name not in MIXING)
    filler_id = int(samples[0]["input_ids"][0])
    packed = learn(wrapper, [PackingCollator(filler_id, AXES)(samples)])
    if shaped.name in MIXING:
        assert packed[0] != pytest.approx(alone[0], rel=1e-4)
        with pytest.raises(ModelLoadFailed, match="examples would influence each other in this base model; set batch"):
            run_training(make_request(tmp_path, shaped.base, batching="packed"), ListReporter(), RunRequests())
    else:
        assert_alike(packed, alone)
        # As on CUDA, where all rows have one shape.
        shape = Shape(token_count=128, target_count=64, piece_count=8, longest=40)
        assert_alike(learn(wrapper, [PackingCollator(filler_id, AXES, shape=shape)(samples)]), alone)


def test_only_adapter_and_projection_are_trained(shaped: Shaped) -> None:
    base = load(shaped.base)
    model = make_emotional_model(base, make_config("default", TINY_CONFIG), len(DEFAULT_AXES))
    assert model.wrapper.get_input_embeddings()(torch.tensor([[20]])).shape == (1, 1, base.hidden_size)
    trained = [name for name, parameter in model.peft_model.named_parameters() if parameter.requires_grad]
    assert [name for name in trained if "lora_" not in name and "emotion_proj_embed" not in name] == []
    assert [name for name in trained if OTHER_PARTS.search(name)] == []


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
