"""The stand-in for the training process uses the protocol of the real one, and keeps its state in its checkpoints."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from emomodel.bundles.bundle import verify, write_manifest
from emomodel.bundles.manifest import DatasetEntry, Manifest, MetricsSummary
from emomodel.checkpoints.index import list_checkpoints, verify_checkpoint
from emomodel.config import TrainConfig
from emomodel.emotions import DEFAULT_AXES
from emomodel.protocol.journal import VARIABLE
from emomodel.protocol.progress import (
    CHECKPOINT_REQUEST,
    EXIT_OK,
    EXIT_ORPHANED,
    EXIT_STOPPED,
    SAVE_AND_STOP_REQUEST,
    STOP_REQUEST,
    Checkpoint,
    Metric,
    Progress,
    Result,
    parse_progress,
)
from emomodel.protocol.train_request import TrainRequest
from tests.chaos.journal import read_lives
from tests.chaos.trainer import FAST_MODEL, JOURNAL_VARIABLE, TEMPLATE_VARIABLE
from tests.chaos.worker import TRAINER_ARGV

STEP_COUNT = 30
SHA = "a" * 64


class Run:
    """One process of the stand-in, the lines that it has written so far, and its exit code."""

    def __init__(self, folder: Path, attempt: int, resume_from: tuple[Path, ...] = ()) -> None:
        self.folder = folder / "job_x" / str(attempt)
        self.folder.mkdir(parents=True)
        self.checkpoint_dir = self.folder / "checkpoints"
        request = TrainRequest(
            dataset_path=folder / "chats.jsonl",
            dataset_name="chats",
            dataset_sha256=SHA,
            base_model=FAST_MODEL,
            base_model_path="/models/none",
            config=TrainConfig(max_steps=STEP_COUNT, seed=10, checkpoint_every=7),
            output_dir=self.folder / "output",
            checkpoint_dir=self.checkpoint_dir,
            resume_from=resume_from,
        )
        path = self.folder / "request.json"
        path.write_text(request.model_dump_json())
        places = {TEMPLATE_VARIABLE: str(folder / "template"), JOURNAL_VARIABLE: str(folder / "journal.jsonl")}
        self.process = subprocess.Popen(
            [*TRAINER_ARGV, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | places
        )
        self.lines: list[Progress] = []

    def read_until(self, condition: Callable[[Progress], bool] = lambda _: False) -> None:
        """Read up to a line that `condition` accepts, or to the end."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            self.lines.append(parse_progress(line))
            if condition(self.lines[-1]):
                return

    def ask(self, request: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{request}\n".encode())
        self.process.stdin.flush()

    def end(self) -> int:
        """Read the remaining lines and wait for the end; returns the exit code."""
        self.read_until()
        code = self.process.wait(10)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        return code

    @property
    def losses(self) -> dict[int, float]:
        return {line.step: line.loss for line in self.lines if isinstance(line, Metric)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the smallest possible template of an output folder."""
    template = tmp_path / "template"
    template.mkdir()
    (template / "metrics.jsonl").write_text("")
    manifest = Manifest(
        base_model="tiny",
        axes=DEFAULT_AXES.names,
        hidden_size=4,
        layer_sizes=(8, 4, 4),
        emotion_scale=1.0,
        emotion_centered=True,
        emotion_span="lead",
        config=TrainConfig(),
        dataset=DatasetEntry(name="x", sha256=SHA, example_count=3),
        metrics=MetricsSummary(first_loss=4.0, final_loss=0.8, step_count=5, token_count=50, train_seconds=0.5),
        library_versions={},
        created_at=datetime.now(UTC),
    )
    write_manifest(template, manifest)
    return tmp_path


def is_step(number: int) -> Callable[[Progress], bool]:
    return lambda line: isinstance(line, Metric) and line.step == number


def test_the_stand_in_uses_the_names_of_the_real_process() -> None:
    assert JOURNAL_VARIABLE == VARIABLE
    assert sys.executable == TRAINER_ARGV[0]


def test_a_whole_run_ends_with_a_result_and_a_bundle(folder: Path) -> None:
    run = Run(folder, 1)
    assert run.end() == EXIT_OK
    assert isinstance(run.lines[-1], Result)
    assert list(run.losses) == list(range(1, STEP_COUNT + 1))
    manifest = verify(run.folder / "output")
    assert manifest.metrics is not None
    assert manifest.metrics.step_count == STEP_COUNT
    written = (run.folder / "output" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in written] == list(run.losses.values())
    (life,) = read_lives(folder / "journal.jsonl")
    assert (life.job_id, life.attempt, life.end, dict(life.losses)) == ("job_x", 1, "finished", run.losses)


def test_a_resumed_run_repeats_the_undisturbed_one(folder: Path) -> None:
    twin = Run(folder, 1)
    assert twin.end() == EXIT_OK
    first = Run(folder, 2)
    first.read_until(is_step(9))
    first.ask(SAVE_AND_STOP_REQUEST)
    assert first.end() == EXIT_STOPPED
    saved = list_checkpoints(first.checkpoint_dir)
    for checkpoint in saved:
        verify_checkpoint(checkpoint.path)
    assert saved[0].step == max(first.losses)
    second = Run(folder, 3, tuple(checkpoint.path for checkpoint in saved))
    assert second.end() == EXIT_OK
    assert min(second.losses) == saved[0].step + 1
    assert first.losses | second.losses == twin.losses
    assert verify(second.folder / "output").metrics == verify(twin.folder / "output").metrics


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(folder: Path) -> None:
    first = Run(folder, 1)
    first.read_until(is_step(16))
    first.process.kill()
    first.end()
    newest, before = list_checkpoints(first.checkpoint_dir)[:2]
    (newest.path / "state.json").write_text("{}")
    second = Run(folder, 2, (newest.path, before.path))
    assert second.end() == EXIT_OK
    assert min(second.losses) == before.step + 1


def test_a_checkpoint_on_request_and_a_stop_that_saves_nothing(folder: Path) -> None:
    run = Run(folder, 1)
    run.read_until(is_step(2))
    run.ask(CHECKPOINT_REQUEST)
    run.read_until(lambda line: isinstance(line, Checkpoint))
    saved = run.lines[-1]
    assert isinstance(saved, Checkpoint)
    assert (saved.reason, Path(saved.path).is_dir()) == ("request", True)
    run.ask(SAVE_AND_STOP_REQUEST + "\n" + STOP_REQUEST)
    assert run.end() == EXIT_STOPPED
    assert not (run.folder / "output").exists()


def test_the_stand_in_ends_with_its_supervisor(folder: Path) -> None:
    run = Run(folder, 1)
    run.read_until(is_step(1))
    assert run.process.stdin is not None
    run.process.stdin.close()
    began = time.monotonic()
    assert run.process.wait(10) == EXIT_ORPHANED
    assert time.monotonic() - began < 1
    assert run.process.stdout is not None
    run.process.stdout.close()
    (life,) = read_lives(folder / "journal.jsonl")
    assert life.end == "orphaned"
