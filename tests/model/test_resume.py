"""A training that goes on from a checkpoint gives the losses, and the weights, of one that was never interrupted."""
# ruff: noqa: ARG002 - the signatures are the journal's

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from emomodel.checkpoint import PROJECTION_FILE
from emomodel.checkpoint_index import INDEX_FILE, list_checkpoints, write_index
from emomodel.errors import LossDiverged, Stopped
from emomodel.progress import (
    CHECKPOINT_REQUEST,
    SAVE_AND_STOP_REQUEST,
    STOP_REQUEST,
    Checkpoint,
    Metric,
    Notice,
    Phase,
    Progress,
    Result,
)
from emomodel.request import TrainRequest
from emomodel.run_requests import RunRequests
from emomodel.train import run_training
from tests.model.tiny_training import ListReporter, make_request

pytestmark = pytest.mark.model

# Dropout draws random numbers at each step; an accumulation of 2 over 5 batches an epoch crosses its end.
STEPS = 9
CONFIG: dict[str, Any] = {"max_steps": STEPS, "lora_dropout": 0.1, "gradient_accumulation": 2, "checkpoint_every": 3}
HELD_OUT = {"eval_fraction": 0.3, "eval_every": 2}


class AskingJournal:
    """Asks for something in time for a step: the journal is told of each before anything is decided about it."""

    def __init__(self, step: int, request: str) -> None:
        self.requests = RunRequests()
        self._step = step
        self._request = request

    def note_start(self, request_path: Path, output_dir: Path) -> None: ...

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
        if step == self._step:
            self.requests.take(self._request)

    def note_checkpoint(self, step: int, path: Path) -> None: ...

    def note_end(self, kind: str) -> None: ...


def make(folder: Path, base: Path, **config: Any) -> TrainRequest:
    request = make_request(folder, base, **(CONFIG | config))
    return request.model_copy(update={"checkpoint_dir": folder / "checkpoints"})


def interrupt(request: TrainRequest, *, after: int, by: str = STOP_REQUEST) -> ListReporter:
    reporter, journal = ListReporter(), AskingJournal(after, by)
    with pytest.raises(Stopped):
        run_training(request, reporter, journal.requests, journal=journal)
    assert not request.output_dir.exists()
    return reporter


def finish(request: TrainRequest, requests: RunRequests | None = None) -> tuple[list[Metric], ListReporter]:
    """Run to the end; the metrics that the bundle has, and what was reported in this run."""
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


def tell(metrics: list[Metric]) -> list[tuple[object, ...]]:
    """All of a metric that doesn't depend on the machine's speed."""
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
            f"the training goes on from checkpoint-{step - 1}"
        ] * (step > 1)
    parts, _ = finish(request)
    assert tell(parts) == tell(whole)
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
    # The next attempt has a folder of its own, as a worker's has.
    assert first.checkpoint_dir is not None
    second = make(tmp_path / "second", tiny_gemma, **ONCE).model_copy(
        update={"resume_from": (first.checkpoint_dir / f"checkpoint-{step}",)}
    )
    parts, reporter = finish(second)
    assert tell(parts) == tell(never_stopped)
    assert min(line.step for line in reporter.progress if isinstance(line, Metric)) >= step


def test_an_evaluation_that_a_stop_breaks_off_is_done_first_when_the_training_goes_on(
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
    assert tell(second) == tell(never_stopped[2:])


def test_a_run_that_is_cut_off_goes_on_from_its_last_checkpoint(tmp_path: Path, tiny_gemma: Path) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma))
    request = make(tmp_path / "parts", tiny_gemma)
    # Once before the first checkpoint, once after, once right at one, which a stop that drops all doesn't save.
    interrupt(request, after=2)
    interrupt(request, after=5)
    assert list_names(request) == ["checkpoint-3"]
    interrupt(request, after=6)
    assert list_names(request) == ["checkpoint-3"]
    parts, reporter = finish(request)
    assert tell(parts) == tell(whole)
    assert [line.step for line in reporter.progress if isinstance(line, Metric)] == [4, 5, 6, 7, 8, 9]
    assert_same_weights(request.output_dir, tmp_path / "whole" / "output")


def test_a_checkpoint_on_request_and_the_training_goes_on(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)
    journal, reporter = AskingJournal(4, CHECKPOINT_REQUEST), ListReporter()
    run_training(request, reporter, journal.requests, journal=journal)
    assert list_saved(reporter) == [(3, "schedule"), (4, "request"), (6, "schedule"), (9, "schedule")]
    lines = [line for line in reporter.progress if isinstance(line, Checkpoint)]
    assert [Path(line.path).name for line in lines] == [f"checkpoint-{line.step}" for line in lines]
    folder = Path(lines[-1].path)
    assert lines[-1].size_bytes == sum(file.stat().st_size for file in folder.iterdir())


def test_a_stop_after_a_save_and_stop_wins(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)

    class BothStops(AskingJournal):
        def note_step(self, step: int, read_loss: Callable[[], float]) -> None:
            super().note_step(step, read_loss)
            if step == 4:
                self.requests.take(SAVE_AND_STOP_REQUEST)

    both = BothStops(4, STOP_REQUEST)
    with pytest.raises(Stopped):
        run_training(request, ListReporter(), both.requests, journal=both)
    assert list_names(request) == ["checkpoint-3"]


@pytest.mark.parametrize("by", [SAVE_AND_STOP_REQUEST, STOP_REQUEST])
def test_a_save_and_stop_in_the_last_step_finishes_and_a_stop_does_not(
    tmp_path: Path, tiny_gemma: Path, by: str
) -> None:
    request = make(tmp_path, tiny_gemma, **HELD_OUT)
    journal, reporter = AskingJournal(STEPS, by), ListReporter()
    if by == STOP_REQUEST:
        with pytest.raises(Stopped):
            run_training(request, reporter, journal.requests, journal=journal)
        assert not request.output_dir.exists()
    else:
        assert isinstance(run_training(request, reporter, journal.requests, journal=journal), Result)
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


def test_the_last_two_checkpoints_are_kept_and_one_that_was_cut_off_is_not_taken(
    tmp_path: Path, tiny_gemma: Path
) -> None:
    request = make(tmp_path, tiny_gemma, checkpoint_every=2)
    interrupt(request, after=7)
    assert list_names(request) == ["checkpoint-4", "checkpoint-6"]
    assert request.checkpoint_dir is not None
    cut_off = request.checkpoint_dir / ".partial" / "checkpoint-8"
    cut_off.mkdir(parents=True)
    (cut_off / "trained.safetensors").write_bytes(b"half")
    metrics, reporter = finish(request)
    assert [line.step for line in reporter.progress if isinstance(line, Metric)] == [7, 8, 9]
    assert len(metrics) == STEPS
    # The last step is saved too: a later failure, in the making of the bundle, costs no training.
    assert list_names(request) == ["checkpoint-8", "checkpoint-9"]


def test_a_checkpoint_tells_the_loss_that_was_measured_at_its_step(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma, **HELD_OUT).model_copy(update={"checkpoints_kept": 4})
    metrics, _ = finish(request)
    assert request.checkpoint_dir is not None
    found = {checkpoint.step: checkpoint.eval_loss for checkpoint in list_checkpoints(request.checkpoint_dir)}
    assert found == {3: None, 6: metrics[5].eval_loss, 9: metrics[8].eval_loss}
    assert None not in (found[6], found[9])


def test_a_finished_training_is_not_trained_again(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)
    first, _ = finish(request)
    again, reporter = finish(request.model_copy(update={"output_dir": tmp_path / "again"}))
    assert again == first
    assert not [line for line in reporter.progress if isinstance(line, Metric)]


def test_a_checkpoint_of_another_config_is_told_and_left_alone(tmp_path: Path, tiny_gemma: Path) -> None:
    interrupt(make(tmp_path, tiny_gemma), after=4)
    request = make(tmp_path, tiny_gemma, lora_rank=4)
    metrics, reporter = finish(request)
    assert [code for code, _ in list_notices(reporter)] == ["checkpoint_unusable", "began_anew"]
    assert list_notices(reporter)[0][1].startswith("checkpoint-3 is not of this training")
    assert len(metrics) == STEPS
    assert list_names(request) == ["checkpoint-6", "checkpoint-9"]


def _garble(path: Path) -> None:
    content = bytearray((path / "optimizer.pt").read_bytes())
    content[random.Random(1).randrange(len(content))] ^= 1  # noqa: S311 - any byte will do
    (path / "optimizer.pt").write_bytes(content)


def _cut(path: Path) -> None:
    (path / "trained.safetensors").write_bytes(b"half")


def _take_index(path: Path) -> None:
    (path / INDEX_FILE).unlink()


def _take_all(path: Path) -> None:
    shutil.rmtree(path)


def _make_of_another_version(path: Path) -> None:
    (checkpoint,) = [found for found in list_checkpoints(path.parent) if found.path == path]
    (path / INDEX_FILE).unlink()
    (path / "log_window.json").write_text('{"pane": 1}')
    write_index(path, step=checkpoint.step, course=checkpoint.course, eval_loss=None)


@pytest.mark.parametrize("damage", [_garble, _cut, _take_index, _take_all, _make_of_another_version])
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(
    tmp_path: Path, tiny_gemma: Path, damage: Callable[[Path], None]
) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma))
    first = make(tmp_path / "first", tiny_gemma)
    interrupt(first, after=7)
    assert first.checkpoint_dir is not None
    paths = (first.checkpoint_dir / "checkpoint-6", first.checkpoint_dir / "checkpoint-3")
    damage(paths[0])
    second = make(tmp_path / "second", tiny_gemma).model_copy(update={"resume_from": paths})
    parts, reporter = finish(second)
    assert [code for code, _ in list_notices(reporter)] == ["checkpoint_unusable", "resumed"]
    assert "checkpoint-6" in list_notices(reporter)[0][1]
    assert tell(parts) == tell(whole)


def test_with_no_usable_checkpoint_the_training_begins_anew(tmp_path: Path, tiny_gemma: Path) -> None:
    whole, _ = finish(make(tmp_path / "whole", tiny_gemma))
    first = make(tmp_path / "first", tiny_gemma)
    interrupt(first, after=7)
    assert first.checkpoint_dir is not None
    for step in (3, 6):
        _garble(first.checkpoint_dir / f"checkpoint-{step}")
    parts, reporter = finish(first)
    codes = [code for code, _ in list_notices(reporter)]
    assert codes == ["checkpoint_unusable", "checkpoint_unusable", "began_anew"]
    assert tell(parts) == tell(whole)


@pytest.mark.parametrize("by", [SAVE_AND_STOP_REQUEST, CHECKPOINT_REQUEST, STOP_REQUEST])
def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path: Path, tiny_gemma: Path, by: str) -> None:
    request = make(tmp_path, tiny_gemma).model_copy(update={"min_free_bytes": 10 << 20})
    # After the first time a little more than must stay free, and less than a checkpoint takes.
    free = iter([1 << 30])
    journal, reporter = AskingJournal(5, by), ListReporter()
    options: dict[str, Any] = {"journal": journal, "free_bytes": lambda _: next(free, (10 << 20) + 1000)}
    if by == CHECKPOINT_REQUEST:
        run_training(request, reporter, journal.requests, **options)
    else:
        with pytest.raises(Stopped):
            run_training(request, reporter, journal.requests, **options)
    # The first of them, after step 3, has its room.
    assert list_saved(reporter) == [(3, "schedule")]
    assert list_names(request) == ["checkpoint-3"]
    messages = [message for code, message in list_notices(reporter) if code == "checkpoint_failed"]
    expected = {SAVE_AND_STOP_REQUEST: 1, CHECKPOINT_REQUEST: 3, STOP_REQUEST: 0}
    assert len(messages) == expected[by]
    for message in messages:
        assert "too little space" in message
        assert "10.0 MiB that have to stay free, and 10.0 MiB are free" in message
    if by == SAVE_AND_STOP_REQUEST:
        assert messages[0].endswith("the run goes on from the last one, of step 3")


def test_a_checkpoint_is_not_saved_of_a_loss_that_is_no_number(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma, log_every=100, checkpoint_every=1)
    broken = tmp_path / "broken"
    shutil.copytree(tiny_gemma, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = torch.nan
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LossDiverged, match="by step 1"):
        finish(request.model_copy(update={"base_model_path": str(broken)}))
    assert not list((tmp_path / "checkpoints").rglob("checkpoint-*"))


def _load(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    weights: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return weights
