"""What the tests of stops, checkpoints and resuming run and read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emomodel.errors import Stopped
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import STOP_REQUEST, Checkpoint, Metric, Notice
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.train import run_training
from tests.model.tiny_training import ListReporter, make_request

# Dropout draws random numbers at each step; an accumulation of 2 over 5 batches an epoch crosses its end.
STEPS = 9
CONFIG: dict[str, Any] = {"max_steps": STEPS, "lora_dropout": 0.1, "gradient_accumulation": 2, "checkpoint_every": 3}
HELD_OUT = {"eval_fraction": 0.3, "eval_every": 2}


class AskingReporter(ListReporter):
    """Makes a request in time for a step: a reporter notes each step before anything is decided about it."""

    def __init__(self, step: int, request: str) -> None:
        super().__init__()
        self.requests = RunRequests()
        self._step = step
        self._request = request

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:  # noqa: ARG002 - the reporter's signature
        if step == self._step:
            self.requests.take(self._request)


def make(folder: Path, base: Path, **config: Any) -> TrainRequest:
    request = make_request(folder, base, **(CONFIG | config))
    return request.model_copy(update={"checkpoint_dir": folder / "checkpoints"})


def interrupt(request: TrainRequest, *, after: int, by: str = STOP_REQUEST) -> ListReporter:
    reporter = AskingReporter(after, by)
    with pytest.raises(Stopped):
        run_training(request, reporter, reporter.requests)
    assert not request.output_dir.exists()
    return reporter


def finish(request: TrainRequest, requests: RunRequests | None = None) -> tuple[list[Metric], ListReporter]:
    """Run to the end, and return the metrics in the bundle, and what was reported in this run."""
    reporter = ListReporter()
    run_training(request, reporter, requests or RunRequests())
    lines = (request.output_dir / "metrics.jsonl").read_text().splitlines()
    return [Metric.model_validate_json(line) for line in lines], reporter


def list_names(request: TrainRequest) -> list[str]:
    assert request.checkpoint_dir is not None
    return sorted(path.name for path in request.checkpoint_dir.iterdir())


def list_notices(reporter: ListReporter) -> list[tuple[str, str]]:
    return [(line.code, line.message) for line in reporter.progress if isinstance(line, Notice)]


def list_saved(reporter: ListReporter) -> list[tuple[int, str]]:
    return [(line.step, line.reason) for line in reporter.progress if isinstance(line, Checkpoint)]


def summarise(metrics: list[Metric]) -> list[tuple[object, ...]]:
    """All values of the metrics that don't depend on the speed of the machine."""
    return [
        (
            metric.step,
            metric.loss,
            metric.grad_norm,
            metric.lora_learning_rate,
            metric.emotion_learning_rate,
            metric.epoch,
            metric.token_count,
            metric.eval_loss,
            metric.eval_neutral_loss,
        )
        for metric in metrics
    ]
