"""The training's arithmetic: batches, accumulation, groups, what is trained and what is not."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from emomodel.checkpoint import PROJECTION_FILE
from emomodel.config import TrainConfig
from emomodel.loading import load_base_model
from emomodel.progress import Metric
from emomodel.train import make_emotional_model, run_training
from tests.model.tiny_training import TINY_CONFIG, ListReporter, make_request

pytestmark = pytest.mark.model

Weights = dict[str, torch.Tensor]


def run(folder: Path, base: Path, **config: Any) -> tuple[list[float], Weights, Weights]:
    """Losses, adapter and projection of a short training."""
    request = make_request(folder, base, **config)
    reporter = ListReporter()
    run_training(request, reporter, threading.Event())
    losses = [line.loss for line in reporter.progress if isinstance(line, Metric)]
    adapter = load_file(request.output_dir / "adapter" / "adapter_model.safetensors")
    return losses, adapter, torch.load(request.output_dir / PROJECTION_FILE, weights_only=True)


def assert_same(ours: tuple[list[float], Weights, Weights], theirs: tuple[list[float], Weights, Weights]) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine.keys() == other.keys()
        for key in mine:
            torch.testing.assert_close(mine[key], other[key], rtol=1e-3, atol=1e-4)


# Few steps at low rates: rounding would otherwise grow into differences of its own.
SHORT = {"max_steps": 4, "lora_learning_rate": 1e-3, "emotion_learning_rate": 2e-3, "group_by_length": False}


def test_accumulation_of_2_by_2_equals_a_batch_of_4(tmp_path: Path, tiny_gemma: Path) -> None:
    whole = run(tmp_path / "whole", tiny_gemma, **SHORT, batch_size=4)
    parts = run(tmp_path / "parts", tiny_gemma, **SHORT, batch_size=2, gradient_accumulation=2)
    assert_same(parts, whole)


def test_fixed_and_dynamic_padding_give_the_same_training(tmp_path: Path, tiny_gemma: Path) -> None:
    dynamic = run(tmp_path / "dynamic", tiny_gemma, **SHORT, batching="dynamic")
    fixed = run(tmp_path / "fixed", tiny_gemma, **SHORT, batching="fixed")
    assert_same(fixed, dynamic)


def test_packed_and_dynamic_batches_give_the_same_training(tmp_path: Path, tiny_gemma: Path) -> None:
    dynamic = run(tmp_path / "dynamic", tiny_gemma, **SHORT, batching="dynamic")
    packed = run(tmp_path / "packed", tiny_gemma, **SHORT, batching="packed")
    assert_same(packed, dynamic)


def test_bfloat16_without_centring_and_with_token_rule_trains_too(tmp_path: Path, tiny_gemma: Path) -> None:
    other = {"dtype": "auto", "emotion_centered": False, "emotion_init": "default", "emotion_span": "token"}
    losses, adapter, projection = run(
        tmp_path, tiny_gemma, **other, schedule="cosine", gradient_checkpointing=True, epochs=6, lora_dropout=0.1
    )
    assert losses[-1] < losses[0] / 2
    assert {tensor.dtype for tensor in [*adapter.values(), *projection.values()]} == {torch.float32}


def test_log_every_reports_means_and_always_the_last_step(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make_request(tmp_path / "rare", tiny_gemma, max_steps=5, log_every=2)
    reporter = ListReporter()
    run_training(request, reporter, threading.Event())
    every, _, _ = run(tmp_path / "often", tiny_gemma, max_steps=5)
    rare = [line for line in reporter.progress if isinstance(line, Metric)]
    assert [line.step for line in rare] == [2, 4, 5]
    means = [(every[0] + every[1]) / 2, (every[2] + every[3]) / 2, every[4]]
    assert [line.loss for line in rare] == pytest.approx(means)


def test_adapter_and_projection_are_trained_and_nothing_else(tiny_gemma: Path) -> None:
    base = load_base_model(str(tiny_gemma), backend="auto", dtype="float32", load_in_4bit=None, max_length=64)
    model = make_emotional_model(base, TrainConfig.model_validate(TINY_CONFIG | {"lora_modules": ["q_proj"]}), 8)
    trained = {name for name, parameter in model.peft_model.named_parameters() if parameter.requires_grad}
    lora = {name for name in trained if "lora_" in name}
    assert len(lora) == 2 * 2
    assert all(".q_proj." in name for name in lora)
    assert {name.rpartition("emotion_proj_embed.")[2] for name in trained - lora} == {
        f"{layer}.{kind}" for layer in (0, 1, 3) for kind in ("weight", "bias")
    }


def test_a_training_of_one_step_trains_both_parts(tmp_path: Path, tiny_gemma: Path) -> None:
    _, adapter, projection = run(tmp_path, tiny_gemma, max_steps=1)
    assert any(weight.abs().max() > 0 for name, weight in adapter.items() if "lora_B" in name)
    assert projection["3.weight"].abs().max() > 0
