"""The arithmetic of a training: batches, accumulation, groups, what is trained and what is not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState, TrainingArguments

from emomodel.batches.order import BatchOrder
from emomodel.checkpoints.log_window import LogWindow
from emomodel.config import TrainConfig
from emomodel.errors import DatasetRefused
from emomodel.evaluation.losses import Evaluation
from emomodel.insights.row_report import read_worst
from emomodel.model.loading import load_base_model
from emomodel.model.prepare import make_emotional_model
from emomodel.model.projection_files import PROJECTION_FILE
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import Metric, Notice, Plan
from emomodel.protocol.train_request import TrainRequest, ValidationDataset
from emomodel.training.callbacks import EvaluationCallback, MetricCallback
from emomodel.training.train import run_training
from tests.model.tiny_training import TINY_CONFIG, ListReporter, make_lines, make_request

pytestmark = pytest.mark.model

Weights = dict[str, torch.Tensor]


def run(folder: Path, base: Path, **config: Any) -> tuple[list[float], Weights, Weights]:
    """Run a short training, and return its losses, adapter and projection."""
    request = make_request(folder, base, **config)
    reporter = ListReporter()
    run_training(request, reporter, RunRequests())
    losses = [line.loss for line in reporter.progress if isinstance(line, Metric)]
    adapter = load_file(request.output_dir / "adapter" / "adapter_model.safetensors")
    return losses, adapter, torch.load(request.output_dir / PROJECTION_FILE, weights_only=True)


def assert_same(ours: tuple[list[float], Weights, Weights], theirs: tuple[list[float], Weights, Weights]) -> None:
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine.keys() == other.keys()
        for key in mine:
            torch.testing.assert_close(mine[key], other[key], rtol=1e-3, atol=1e-4)


# Few steps at low rates, since with more of either rounding would grow into larger differences.
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
    # Packed batches are chosen in another way, so each batch has all examples.
    config = SHORT | {"batch_size": len(make_lines())}
    dynamic = run(tmp_path / "dynamic", tiny_gemma, **config, batching="dynamic")
    packed = run(tmp_path / "packed", tiny_gemma, **config, batching="packed")
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
    run_training(request, reporter, RunRequests())
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


def train_and_list_metrics(request: TrainRequest) -> list[Metric]:
    reporter = ListReporter()
    run_training(request, reporter, RunRequests())
    return [line for line in reporter.progress if isinstance(line, Metric)]


def test_the_held_out_loss_falls_and_shows_how_much_the_emotion_helps(tmp_path: Path, tiny_gemma: Path) -> None:
    # Each chat is there three times with other words, so that what is held out resembles what is learnt.
    lines = [
        {"messages": [question, answer | {"content": f"{answer['content']} {end}"}]}
        for question, answer in (line["messages"] for line in make_lines())
        for end in ("Yes.", "No.", "Maybe.")
    ]
    request = make_request(tmp_path, tiny_gemma, lines=lines, epochs=4, eval_fraction=0.2, eval_every=10)
    metrics = train_and_list_metrics(request)
    measured = [metric for metric in metrics if metric.eval_loss is not None]
    assert [metric.step for metric in measured] == [*range(10, metrics[-1].step, 10), metrics[-1].step]
    first, last = measured[0], measured[-1]
    assert first.eval_loss is not None
    assert last.eval_loss is not None
    assert last.eval_neutral_loss is not None
    assert last.eval_loss < first.eval_loss
    # Only the emotion shows which feeling is named.
    assert last.eval_neutral_loss > last.eval_loss + 0.2


def test_measuring_does_not_change_the_training(tmp_path: Path, tiny_gemma: Path) -> None:
    options: dict[str, Any] = {"eval_fraction": 0.2, "max_steps": 6, "lora_dropout": 0.1}
    often = train_and_list_metrics(make_request(tmp_path / "often", tiny_gemma, eval_every=1, **options))
    once = train_and_list_metrics(make_request(tmp_path / "once", tiny_gemma, eval_every=6, **options))
    assert [metric.loss for metric in often] == [metric.loss for metric in once]
    assert often[-1].eval_loss == once[-1].eval_loss


def test_a_validation_dataset_is_measured_in_place_of_a_share(tmp_path: Path, tiny_gemma: Path) -> None:
    other = make_request(tmp_path / "other", tiny_gemma, lines=make_lines()[:5])
    validation = ValidationDataset(path=other.dataset_path, name="other", sha256=other.dataset_sha256)
    request = make_request(tmp_path / "run", tiny_gemma, max_steps=2).model_copy(update={"validation": validation})
    metrics = train_and_list_metrics(request)
    assert metrics[-1].eval_loss is not None
    changes = {"validation": validation.model_copy(update={"sha256": "0" * 64}), "output_dir": tmp_path / "again"}
    with pytest.raises(DatasetRefused, match="the validation dataset file has changed"):
        run_training(request.model_copy(update=changes), ListReporter(), RunRequests())


def test_a_limit_and_balance_choose_the_examples(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make_request(tmp_path, tiny_gemma, sample_limit=10, balance="axes", max_steps=3, batch_size=4)
    reporter = ListReporter()
    run_training(request, reporter, RunRequests())
    (plan,) = [line for line in reporter.progress if isinstance(line, Plan)]
    assert plan.example_count == 10


def test_an_eval_share_that_holds_nothing_out_is_reported(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make_request(tmp_path, tiny_gemma, lines=make_lines()[1:3], eval_fraction=0.01, max_steps=1)
    reporter = ListReporter()
    run_training(request, reporter, RunRequests())
    assert [line.code for line in reporter.progress if isinstance(line, Notice)] == ["nothing_held_out"]


def test_the_row_report_has_each_example_and_finds_the_odd_one(tmp_path: Path, tiny_gemma: Path) -> None:
    lines = make_lines()
    # This chat resembles no other.
    lines[6]["messages"][1]["content"] = "<emo joy=0.9>Thunder rolled above silver fish.</emo>"
    path = tmp_path / "rows.parquet"
    request = make_request(tmp_path / "run", tiny_gemma, lines=lines, eval_fraction=0.25)
    run_training(request.model_copy(update={"row_report_path": path}), ListReporter(), RunRequests())
    rows = read_worst(path, 1000)
    assert sorted(row.line for row in rows) == list(range(1, 37))
    assert [row.loss for row in rows] == sorted((row.loss for row in rows), reverse=True)
    assert any(row.held_out for row in rows)
    assert rows[0].line == 7
    assert read_worst(path, 5) == rows[:5]


def test_the_time_that_measuring_takes_does_not_count_as_training(tmp_path: Path) -> None:
    def evaluate(should_stop: Callable[[], bool]) -> Evaluation:
        time.sleep(0.5)
        return Evaluation(loss=1.0, neutral_loss=2.0, example_count=3)

    reporter = ListReporter()
    order = BatchOrder([2] * 8, [1] * 8, batch_size=4, batch_count=4, seed=1, groups_by_length=False)
    progress = MetricCallback(reporter, order, step_count=4, batches_per_step=1, window=LogWindow())
    args = TrainingArguments(output_dir=str(tmp_path), use_cpu=True)
    state, control = TrainerState(global_step=1, max_steps=4), TrainerControl()
    EvaluationCallback(evaluate, progress, RunRequests(), every=1).on_step_end(args, state, control)
    assert control.should_log
    progress.finish(progress.begin(step=1, step_count=1), loss_sum=3.0, grad_norm=None)
    (metric,) = reporter.progress
    assert isinstance(metric, Metric)
    assert (metric.eval_loss, metric.eval_neutral_loss) == (1.0, 2.0)
    assert metric.elapsed_seconds < 0.4
