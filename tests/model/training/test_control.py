"""What a training does when it is asked for a checkpoint or a stop, at any time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emomodel.errors import Stopped
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import (
    CHECKPOINT_REQUEST,
    SAVE_AND_STOP_REQUEST,
    STOP_REQUEST,
    Checkpoint,
    Metric,
    Phase,
    Progress,
    Result,
)
from emomodel.training.train import run_training
from tests.model.tiny_training import ListReporter
from tests.model.training.resuming import HELD_OUT, STEPS, AskingReporter, list_names, list_saved, make

pytestmark = pytest.mark.model


def test_a_checkpoint_on_request_does_not_end_the_training(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)
    reporter = AskingReporter(4, CHECKPOINT_REQUEST)
    run_training(request, reporter, reporter.requests)
    assert list_saved(reporter) == [(3, "schedule"), (4, "request"), (6, "schedule"), (9, "schedule")]
    lines = [line for line in reporter.progress if isinstance(line, Checkpoint)]
    assert [Path(line.path).name for line in lines] == [f"checkpoint-{line.step}" for line in lines]
    folder = Path(lines[-1].path)
    assert lines[-1].size_bytes == sum(file.stat().st_size for file in folder.iterdir())


def test_a_stop_after_a_save_and_stop_wins(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)

    class BothStops(AskingReporter):
        def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
            super().note_step(step, read_loss)
            if step == 4:
                self.requests.take(SAVE_AND_STOP_REQUEST)

    both = BothStops(4, STOP_REQUEST)
    with pytest.raises(Stopped):
        run_training(request, both, both.requests)
    assert list_names(request) == ["checkpoint-3"]


@pytest.mark.parametrize("by", [SAVE_AND_STOP_REQUEST, STOP_REQUEST])
def test_a_save_and_stop_in_the_last_step_finishes_and_a_stop_does_not(
    tmp_path: Path, tiny_gemma: Path, by: str
) -> None:
    request = make(tmp_path, tiny_gemma, **HELD_OUT)
    reporter = AskingReporter(STEPS, by)
    if by == STOP_REQUEST:
        with pytest.raises(Stopped):
            run_training(request, reporter, reporter.requests)
        assert not request.output_dir.exists()
    else:
        assert isinstance(run_training(request, reporter, reporter.requests), Result)
        assert list_saved(reporter)[-1] == (STEPS, "schedule")


@pytest.mark.parametrize("by", [SAVE_AND_STOP_REQUEST, STOP_REQUEST])
@pytest.mark.parametrize("phase", ["loading_model", "loading_dataset", "training"])
def test_a_stop_before_the_first_step_ends_the_run_without_a_checkpoint(
    tmp_path: Path, tiny_gemma: Path, phase: str, by: str
) -> None:
    class AskInPhase(ListReporter):
        def report(self, progress: Progress) -> None:
            super().report(progress)
            if isinstance(progress, Phase) and progress.name == phase:
                requests.take(by)

    requests, reporter, request = RunRequests(), AskInPhase(), make(tmp_path, tiny_gemma)
    with pytest.raises(Stopped):
        run_training(request, reporter, requests)
    phases = [line.name for line in reporter.progress if isinstance(line, Phase)]
    assert phases[-1] == phase
    if phase != "training":
        assert not (tmp_path / "checkpoints").exists()
    assert [line for line in reporter.progress if isinstance(line, Metric)] == [] or phase == "training"
