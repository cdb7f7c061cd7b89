"""A training that resumes from a checkpoint has the losses and weights of one that was never interrupted."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from emomodel.errors import Stopped
from emomodel.model.projection_files import PROJECTION_FILE
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import SAVE_AND_STOP_REQUEST, Metric, Notice, Progress
from emomodel.training.train import run_training
from tests.model.tiny_training import ListReporter
from tests.model.training.resuming import (
    HELD_OUT,
    STEPS,
    finish,
    interrupt,
    list_names,
    list_notices,
    list_saved,
    make,
    summarise,
)

pytestmark = pytest.mark.model


def assert_same_weights(ours: Path, theirs: Path) -> None:
    for name in ("adapter/adapter_model.safetensors", PROJECTION_FILE):
        mine, other = _load(ours / name), _load(theirs / name)
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[key], other[key]) for key in mine)


@pytest.mark.parametrize(
    "config",
    [
        {"batching": "dynamic"},
        {"batching": "packed", "log_every": 4},
        {"batching": "fixed", "log_every": 3, "gradient_accumulation": 1, "balance": "axes"},
        {"batching": "dynamic", "log_every": 5, "group_by_length": False, "checkpoint_every": 1000},
        HELD_OUT | {"batching": "packed", "log_every": 3},
    ],
    ids=["dynamic", "packed-log-4", "fixed-log-3-balanced", "ungrouped-log-5", "held-out-log-3"],
)
def test_a_training_stopped_after_every_step_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, tiny_gemma: Path, config: dict[str, Any]
) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma, **config))
    request = make(tmp_path / "parts", tiny_gemma, **config)
    for step in range(1, STEPS):
        reporter = interrupt(request, after=step, by=SAVE_AND_STOP_REQUEST)
        assert list_saved(reporter) == [(step, "stop")]
        assert [message for code, message in list_notices(reporter) if code == "resumed"] == [
            f"the training resumes from checkpoint-{step - 1}"
        ] * (step > 1)
    parts, _ = finish(request)
    assert summarise(parts) == summarise(whole)
    elapsed = [line.elapsed_seconds for line in parts]
    assert elapsed == sorted(elapsed)
    assert_same_weights(request.output_dir, tmp_path / "whole" / "output")


ONCE = HELD_OUT | {"log_every": 4, "batching": "dynamic"}


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> list[Metric]:
    return finish(make(tmp_path_factory.mktemp("never-stopped"), tiny_gemma, **ONCE))[0]


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_training_stopped_once_at_any_step_equals_an_uninterrupted_one(
    tmp_path: Path, tiny_gemma: Path, never_stopped: list[Metric], step: int
) -> None:
    first = make(tmp_path / "first", tiny_gemma, **ONCE)
    interrupt(first, after=step, by=SAVE_AND_STOP_REQUEST)
    # The next attempt has another folder, as under a worker.
    assert first.checkpoint_dir is not None
    second = make(tmp_path / "second", tiny_gemma, **ONCE).model_copy(
        update={"resume_from": (first.checkpoint_dir / f"checkpoint-{step}",)}
    )
    parts, reporter = finish(second)
    assert summarise(parts) == summarise(never_stopped)
    assert min(line.step for line in reporter.progress if isinstance(line, Metric)) >= step


def test_an_evaluation_that_a_stop_interrupts_is_done_first_when_the_training_resumes(
    tmp_path: Path, tiny_gemma: Path, never_stopped: list[Metric]
) -> None:
    request = make(tmp_path, tiny_gemma, **ONCE)
    first = interrupt(request, after=6, by=SAVE_AND_STOP_REQUEST)
    assert [line.step for line in first.progress if isinstance(line, Metric)] == [2, 4]
    # Another stop finds nothing new to save.
    again = RunRequests()

    class AskAtOnce(ListReporter):
        def report(self, progress: Progress) -> None:
            super().report(progress)
            if isinstance(progress, Notice) and progress.code == "resumed":
                again.take(SAVE_AND_STOP_REQUEST)

    with pytest.raises(Stopped):
        run_training(request, AskAtOnce(), again)
    assert list_names(request) == ["checkpoint-3", "checkpoint-6"]
    _, reporter = finish(request)
    second = [line for line in reporter.progress if isinstance(line, Metric)]
    assert [line.step for line in second] == [6, 8, 9]
    assert summarise(second) == summarise(never_stopped[2:])


def test_a_run_that_is_cut_off_resumes_from_its_last_checkpoint(tmp_path: Path, tiny_gemma: Path) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma))
    request = make(tmp_path / "parts", tiny_gemma)
    # Once before the first checkpoint, once after it, and once exactly at one, which a plain stop doesn't save.
    interrupt(request, after=2)
    interrupt(request, after=5)
    assert list_names(request) == ["checkpoint-3"]
    interrupt(request, after=6)
    assert list_names(request) == ["checkpoint-3"]
    parts, reporter = finish(request)
    assert summarise(parts) == summarise(whole)
    assert [line.step for line in reporter.progress if isinstance(line, Metric)] == [4, 5, 6, 7, 8, 9]
    assert_same_weights(request.output_dir, tmp_path / "whole" / "output")


def test_a_finished_training_is_not_trained_again(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)
    first, _ = finish(request)
    again, reporter = finish(request.model_copy(update={"output_dir": tmp_path / "again"}))
    assert again == first
    assert not [line for line in reporter.progress if isinstance(line, Metric)]


def _load(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights
