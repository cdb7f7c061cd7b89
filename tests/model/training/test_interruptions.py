"""The real training process gets requests and signals: what it leaves, and how the next one resumes from that."""

import random
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from emomodel.checkpoints.index import list_checkpoints
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import (
    CHECKPOINT_REQUEST,
    EXIT_OK,
    EXIT_STOPPED,
    SAVE_AND_STOP_REQUEST,
    Checkpoint,
    Metric,
    Notice,
    Phase,
    Progress,
    Result,
    parse_progress,
)
from emomodel.protocol.train_request import TrainRequest
from emomodel.training.train import run_training
from tests.model.tiny_training import ListReporter, make_request, start_training
from tests.support.brakes import MOST_BRAKED_STEPS, Brake
from tests.support.waiting import wait_for

pytestmark = pytest.mark.model

# More than the brake lets all of the killed processes do together, each of whose steps notes a checkpoint, too.
STEPS = MOST_BRAKED_STEPS + 30
# With a checkpoint at each step most of the time is spent saving.
CONFIG: dict[str, Any] = {
    "max_steps": STEPS,
    # Enough for as many steps, at nine batches an epoch.
    "epochs": 12,
    "lora_dropout": 0.1,
    "checkpoint_every": 1,
    "log_every": 2,
    "batch_size": 4,
    "lora_learning_rate": 1e-3,
}
KILLS = 4
# The maximum time between the first checkpoint of a process and its kill: events in its journal, then seconds.
MOST_EVENTS = 8
MOST_SECONDS = 0.05
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> list[Metric]:
    """The metrics of a training that was never interrupted."""
    reporter = ListReporter()
    run_training(make_request(tmp_path_factory.mktemp("whole"), tiny_gemma, **CONFIG), reporter, RunRequests())
    return [line for line in reporter.progress if isinstance(line, Metric)]


def make(folder: Path, base: Path, **config: Any) -> TrainRequest:
    request = make_request(folder, base, **(CONFIG | config))
    return request.model_copy(update={"checkpoint_dir": folder / "checkpoints"})


@contextmanager
def running(request: TrainRequest, journal: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start a training process, which a watchdog kills after PATIENCE_SECONDS."""
    with start_training(request, "--supervised", journal=journal) as process:
        watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
        watchdog.start()
        # A full pipe would block the process.
        drain = threading.Thread(target=process.stderr.read if process.stderr else None, daemon=True)
        drain.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()
            drain.join()


def read(process: subprocess.Popen[str], until: Callable[[Progress], bool] = lambda _: False) -> list[Progress]:
    """Read the lines of the process up to the first that `until` accepts, or to the last one."""
    lines = []
    for text in process.stdout or ():
        lines.append(parse_progress(text))
        if until(lines[-1]):
            break
    return lines


def ask(process: subprocess.Popen[str], *requests: str) -> None:
    assert process.stdin is not None
    process.stdin.write("".join(request + "\n" for request in requests))
    process.stdin.flush()


def get_steps(request: TrainRequest) -> list[int]:
    assert request.checkpoint_dir is not None
    return [checkpoint.step for checkpoint in list_checkpoints(request.checkpoint_dir)]


def assert_equal(lines: list[Metric], whole: list[Metric]) -> None:
    expected = {line.step: (line.loss, line.grad_norm, line.token_count) for line in whole}
    assert {line.step: (line.loss, line.grad_norm, line.token_count) for line in lines} == expected


def list_ends(brake: Brake) -> list[str]:
    return [event["kind"] for event in brake.events if event["event"] == "end"]


def read_metrics(request: TrainRequest) -> list[Metric]:
    lines = (request.output_dir / "metrics.jsonl").read_text().splitlines()
    return [Metric.model_validate_json(line) for line in lines]


def test_killed_at_any_moment_the_training_resumes_bit_for_bit(
    tmp_path: Path, tiny_gemma: Path, whole: list[Metric]
) -> None:
    request = make(tmp_path, tiny_gemma)
    generator = random.Random()  # noqa: S311 - any moments will do
    with Brake(tmp_path / "journal") as brake:
        for _ in range(KILLS):
            brake.hold()
            with running(request, brake.path) as process:
                brake.wait_for("checkpoint")
                for _ in range(generator.randrange(MOST_EVENTS)):
                    brake.read_event()
                time.sleep(generator.uniform(0.0, MOST_SECONDS))
                process.send_signal(signal.SIGKILL)
                brake.release()
                saved = [line for line in read(process) if isinstance(line, Checkpoint)]
                assert process.wait() == -signal.SIGKILL
            if saved:
                # What was reported as saved is there.
                assert get_steps(request)[0] >= saved[-1].step
        with running(request, brake.path) as process:
            lines = read(process)
            assert process.wait() == EXIT_OK
        wait_for(lambda: list_ends(brake) == ["finished"])
        events = brake.events
    assert isinstance(lines[-1], Result)
    assert not [line for line in lines if isinstance(line, Notice) and line.code != "resumed"]
    assert_equal(read_metrics(request), whole)

    losses: dict[int, set[float]] = {}
    for event in events:
        if event["event"] == "step":
            losses.setdefault(event["step"], set()).add(event["loss"])
    # A step that was repeated, since it was not saved yet, has the same loss.
    assert all(len(found) == 1 for found in losses.values())
    assert sorted(losses) == list(range(1, STEPS + 1))
    assert sum(event["event"] == "start" for event in events) == KILLS + 1


@pytest.mark.parametrize("how", ["asked", "signalled"])
def test_a_process_saves_and_stops_and_another_resumes(
    tmp_path: Path, tiny_gemma: Path, whole: list[Metric], how: str
) -> None:
    request = make(tmp_path, tiny_gemma, checkpoint_every=1000)
    with Brake(tmp_path / "journal") as brake:
        with running(request, brake.path) as process:
            read(process, lambda line: isinstance(line, Metric) and line.step >= 10)
            ask(process, CHECKPOINT_REQUEST)
            brake.wait_for("checkpoint")
            lines = read(process, lambda line: isinstance(line, Checkpoint))
            assert isinstance(lines[-1], Checkpoint)
            assert lines[-1].reason == "request"
            if how == "asked":
                ask(process, SAVE_AND_STOP_REQUEST)
            else:
                process.send_signal(signal.SIGTERM)
            brake.release()
            lines += read(process)
            assert process.wait() == EXIT_STOPPED
        saved = lines[-1]
        # A request that comes before the step of the first checkpoint is over needs no second checkpoint.
        assert isinstance(saved, Checkpoint)
        assert saved.reason in ("stop", "request")
        assert get_steps(request)[0] == saved.step
        assert not request.output_dir.exists()
        with running(request, brake.path) as process:
            assert isinstance(read(process)[-1], Result)
        assert_equal(read_metrics(request), whole)
        wait_for(
            lambda: [event["kind"] for event in brake.events if event["event"] == "end"] == ["stopped", "finished"]
        )


def test_a_stop_while_the_process_imports_ends_it_before_the_model_is_loaded(tmp_path: Path, tiny_gemma: Path) -> None:
    request = make(tmp_path, tiny_gemma)
    with running(request) as process:
        read(process, lambda line: isinstance(line, Phase))
        ask(process, SAVE_AND_STOP_REQUEST)
        lines = read(process)
        assert process.wait() == EXIT_STOPPED
    assert lines == []
    assert not (tmp_path / "checkpoints").exists()


def test_a_second_signal_ends_the_process_in_the_usual_way(tmp_path: Path, tiny_gemma: Path) -> None:
    with running(make(tmp_path, tiny_gemma)) as process:
        # While it imports, nothing else handles signals for seconds.
        read(process, lambda line: isinstance(line, Phase))
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        read(process)
        assert process.wait() == -signal.SIGTERM


class SmallFiles(ListReporter):
    """A reporter that lets no file grow beyond some bytes during some steps, as a full disk would."""

    def __init__(self, steps: range, size_bytes: int) -> None:
        super().__init__()
        self._steps = steps
        self._size_bytes = size_bytes
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None:  # noqa: ARG002 - the reporter's signature
        soft = self._size_bytes if step in self._steps else self._before[0]
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, self._before[1]))

    def end(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


# Too small for the trained weights, for the optimizer's moments, for anything.
@pytest.mark.parametrize("size_bytes", [40_000, 100_000, 0])
def test_a_file_that_cannot_be_written_costs_the_checkpoint_and_not_the_training(
    tmp_path: Path, tiny_gemma: Path, whole: list[Metric], size_bytes: int
) -> None:
    request, reporter = make(tmp_path, tiny_gemma), SmallFiles(range(10, 13), size_bytes)
    try:
        run_training(request, reporter, RunRequests())
    finally:
        reporter.end()
    saved = [line.step for line in reporter.progress if isinstance(line, Checkpoint)]
    assert saved == [step for step in range(1, STEPS + 1) if step not in range(10, 13)]
    messages = [line.message for line in reporter.progress if isinstance(line, Notice)]
    assert len(messages) == 3
    for step, message in zip(range(10, 13), messages, strict=True):
        assert message.startswith(f"the checkpoint of step {step} could not be saved: ")
        assert message.endswith("the training continues without it")
    assert_equal(read_metrics(request), whole)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == sorted(
        f"checkpoint-{step}" for step in (STEPS - 1, STEPS)
    )
