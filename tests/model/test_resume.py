"""A training that goes on from a checkpoint gives the losses, and the weights, of one that was never interrupted."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from emomodel.checkpoint import PROJECTION_FILE
from emomodel.errors import CheckpointUnusable, Stopped
from emomodel.progress import Metric, Notice, Progress
from emomodel.request import TrainRequest
from emomodel.train import run_training
from tests.model.tiny_training import ListReporter, make_request

pytestmark = pytest.mark.model

# Dropout draws random numbers at each step; an accumulation of 2 over 5 batches an epoch crosses its end.
CONFIG: dict[str, Any] = {"max_steps": 9, "lora_dropout": 0.1, "gradient_accumulation": 2, "checkpoint_every": 3}


class StopAfter(ListReporter):
    """Sets `stop` in time for the training to end after a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.stop = threading.Event()
        self._step = step

    def report(self, progress: Progress) -> None:
        super().report(progress)
        if isinstance(progress, Metric) and progress.step == self._step - 1:
            self.stop.set()


def make(folder: Path, base: Path, **config: Any) -> TrainRequest:
    request = make_request(folder, base, **(CONFIG | config))
    return request.model_copy(update={"checkpoint_dir": folder / "checkpoints"})


def interrupt(request: TrainRequest, *, after: int) -> None:
    reporter = StopAfter(after)
    with pytest.raises(Stopped):
        run_training(request, reporter, reporter.stop)
    assert not request.output_dir.exists()


def finish(request: TrainRequest) -> tuple[list[Metric], ListReporter]:
    """Run to the end; the metrics that the bundle has, and what was reported in this run."""
    reporter = ListReporter()
    run_training(request, reporter, threading.Event())
    lines = (request.output_dir / "metrics.jsonl").read_text().splitlines()
    return [Metric.model_validate_json(line) for line in lines], reporter


def list_checkpoints(request: TrainRequest) -> list[str]:
    assert request.checkpoint_dir is not None
    return sorted(path.name for path in request.checkpoint_dir.iterdir())


@pytest.mark.parametrize("batching", ["dynamic", "packed"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, tiny_gemma: Path, batching: str
) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma, batching=batching))
    request = make(tmp_path / "parts", tiny_gemma, batching=batching)
    # Once before the first checkpoint, once after, once right at one.
    interrupt(request, after=2)
    interrupt(request, after=5)
    assert list_checkpoints(request) == ["checkpoint-3"]
    interrupt(request, after=6)
    parts, reporter = finish(request)

    assert [(line.step, line.loss, line.token_count) for line in parts] == [
        (line.step, line.loss, line.token_count) for line in whole
    ]
    assert [line.step for line in reporter.progress if isinstance(line, Metric)] == [7, 8, 9]
    assert [line.message for line in reporter.progress if isinstance(line, Notice) and line.code == "resumed"] == [
        "the training goes on from checkpoint-6"
    ]
    elapsed = [line.elapsed_seconds for line in parts]
    assert elapsed == sorted(elapsed)
    for name in ("adapter/adapter_model.safetensors", PROJECTION_FILE):
        ours, theirs = (_load(tmp_path / folder / "output" / name) for folder in ("parts", "whole"))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_the_last_two_checkpoints_are_kept_and_one_that_was_cut_off_is_not_taken(
    tmp_path: Path, tiny_gemma: Path
) -> None:
    request = make(tmp_path, tiny_gemma, checkpoint_every=2)
    interrupt(request, after=7)
    assert list_checkpoints(request) == ["checkpoint-4", "checkpoint-6"]
    assert request.checkpoint_dir is not None
    cut_off = request.checkpoint_dir / ".partial" / "checkpoint-8"
    cut_off.mkdir(parents=True)
    (cut_off / "trained.safetensors").write_bytes(b"half")
    metrics, reporter = finish(request)
    assert [line.step for line in reporter.progress if isinstance(line, Metric)] == [7, 8, 9]
    assert len(metrics) == 9
    # The last step is saved too: a later failure, in the making of the bundle, costs no training.
    assert list_checkpoints(request) == ["checkpoint-8", "checkpoint-9"]


def test_a_finished_training_is_not_trained_again(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)
    first, _ = finish(request)
    again, reporter = finish(request.model_copy(update={"output_dir": tmp_path / "again"}))
    assert again == first
    assert not [line for line in reporter.progress if isinstance(line, Metric)]


def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path, tiny_gemma: Path) -> None:
    interrupt(make(tmp_path, tiny_gemma), after=4)
    with pytest.raises(CheckpointUnusable, match="checkpoint-3 is not of this job"):
        finish(make(tmp_path, tiny_gemma, lora_rank=4))


def _load(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights
