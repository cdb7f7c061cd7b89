"""A training process that does not train:

`python fake_trainer.py SCENARIO REQUEST` prints the lines of the real one. With `--spare` in place of the request it
waits for one, in the state that SPARE_STATE names.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from emomodel.bundles.bundle import write_manifest
from emomodel.bundles.manifest import DatasetEntry, Manifest, MetricsSummary
from emomodel.checkpoints.index import make_checkpoint_path, read_checkpoint, write_index
from emomodel.protocol import progress
from emomodel.protocol.progress import (
    EXIT_FAILED,
    EXIT_ORPHANED,
    EXIT_STOPPED,
    Checkpoint,
    CheckpointReason,
    Failure,
    LineReporter,
    Metric,
    Notice,
    Phase,
    Plan,
    Ready,
    Result,
    read_request_line,
)
from emomodel.protocol.train_request import TrainRequest

STEP_COUNT = 5
# This is longer than any test waits: the supervisor ends a scenario that hangs, or the test fails.
LONG_SECONDS = 120.0

reporter = LineReporter()
stopped = threading.Event()
save_wanted = threading.Event()
stop_saves = threading.Event()


def watch_stdin() -> None:
    while line := read_line():
        match line.strip():
            case progress.STOP_REQUEST:
                stopped.set()
            case progress.SAVE_AND_STOP_REQUEST:
                stop_saves.set()
                stopped.set()
            case progress.CHECKPOINT_REQUEST:
                save_wanted.set()
    os._exit(EXIT_ORPHANED)


def read_line() -> str:
    """Read one line from the standard input, and no further: what follows may be read by another thread."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line.decode()


def listen() -> None:
    threading.Thread(target=watch_stdin, daemon=True).start()


def make_metric(step: int) -> Metric:
    return Metric(
        step=step,
        total_steps=STEP_COUNT,
        epoch=step / STEP_COUNT,
        loss=4.0 / step,
        lora_learning_rate=2e-4,
        emotion_learning_rate=2e-3,
        grad_norm=1.0,
        tokens_per_second=100.0,
        token_count=10 * step,
        elapsed_seconds=0.1 * step,
        eta_seconds=0.1 * (STEP_COUNT - step),
        memory_bytes=1000,
    )


def report_step(step: int) -> None:
    reporter.report(make_metric(step))


def begin() -> None:
    reporter.report(Phase(name="importing"))
    reporter.report(
        Plan(
            total_steps=STEP_COUNT,
            example_count=3,
            truncated_count=1,
            target_token_count=30,
            trainable_parameter_count=7,
            device="cpu",
        )
    )
    reporter.report(Phase(name="training"))


def write_output(request: TrainRequest) -> None:
    request.output_dir.mkdir()
    (request.output_dir / "emotion_proj.pth").write_bytes(b"weights")
    (request.output_dir / "loss_curve.png").write_bytes(b"picture")
    write_manifest(
        request.output_dir,
        Manifest(
            base_model=request.base_model,
            axes=request.axes,
            hidden_size=4,
            layer_sizes=(len(request.axes), 4, 4),
            emotion_scale=1.0,
            emotion_centered=True,
            emotion_span="lead",
            config=request.config,
            dataset=DatasetEntry(name=request.dataset_name, sha256=request.dataset_sha256, example_count=3),
            metrics=MetricsSummary(first_loss=4.0, final_loss=0.8, step_count=5, token_count=50, train_seconds=0.5),
            library_versions={},
            created_at=datetime.now(UTC),
        ),
    )


def report_result() -> None:
    reporter.report(
        Result(
            final_loss=0.8,
            step_count=STEP_COUNT,
            token_count=50,
            train_seconds=0.5,
            peak_memory_bytes=1000,
            peak_host_bytes=1000,
        )
    )


def succeed(request: TrainRequest) -> None:
    listen()
    begin()
    sys.stderr.write("a library warns\n")
    sys.stdout.write("a stray line\n")
    sys.stderr.write(f"for {Path.cwd().parent.name}/{Path.cwd().name}\n")
    for step in range(1, STEP_COUNT + 1):
        report_step(step)
    reporter.report(Notice(code="odd", message="something odd"))
    write_output(request)
    report_result()


def succeed_without_bundle(_: TrainRequest) -> None:
    begin()
    report_result()


def fail(_: TrainRequest) -> None:
    begin()
    reporter.report(Failure(code="no_targets", message="no example has a token to learn"))
    sys.exit(EXIT_FAILED)


def crash(_: TrainRequest) -> None:
    begin()
    report_step(1)
    raise RuntimeError("the device is on fire")


def end_in_silence(_: TrainRequest) -> None:
    begin()


def be_killed(_: TrainRequest) -> None:
    begin()
    os.kill(os.getpid(), signal.SIGKILL)


def work_until_stopped(_: TrainRequest) -> None:
    listen()
    begin()
    report_step(1)
    stopped.wait(LONG_SECONDS)
    sys.exit(EXIT_STOPPED)


def ignore_stop(_: TrainRequest) -> None:
    begin()
    report_step(1)
    time.sleep(LONG_SECONDS)


def ignore_everything(_: TrainRequest) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    begin()
    report_step(1)
    time.sleep(LONG_SECONDS)


def write_checkpoint(folder: Path, step: int) -> Path:
    path = make_checkpoint_path(folder, step)
    path.mkdir(parents=True, exist_ok=True)
    (path / "trained.safetensors").write_bytes(b"weights")
    lines = [make_metric(each).model_dump_json(exclude_none=True) + "\n" for each in range(1, step + 1)]
    (path / "metrics.jsonl").write_text("".join(lines))
    write_index(path, step=step, course="course", eval_loss=None)
    return path


def save(request: TrainRequest, step: int, reason: CheckpointReason) -> None:
    assert request.checkpoint_dir is not None
    path = write_checkpoint(request.checkpoint_dir, step)
    reporter.report(Checkpoint(step=step, path=str(path), size_bytes=7, seconds=0.1, reason=reason))


def work_with_checkpoints(request: TrainRequest) -> None:
    """Take a moment for each step.

    The last step waits for a request, unless the training resumed from a checkpoint.
    """
    listen()
    begin()
    first = 1 + max((read_checkpoint(path).step for path in request.resume_from), default=0)
    if first > 1:
        reporter.report(Notice(code=progress.RESUMED, message="the training goes on", step=first - 1))
    for step in range(first, STEP_COUNT + 1):
        report_step(step)
        if first == 1 and step == STEP_COUNT - 1:
            while not stopped.wait(0.02):
                if save_wanted.is_set():
                    save_wanted.clear()
                    save(request, step, "request")
            if stop_saves.is_set():
                save(request, step, "stop")
            sys.exit(EXIT_STOPPED)
        save(request, step, "schedule")
    write_output(request)
    report_result()


def crash_after_a_checkpoint(request: TrainRequest) -> None:
    """Crash in the first run; succeed in a run that resumes."""
    if request.resume_from:
        work_with_checkpoints(request)
        return
    begin()
    report_step(1)
    save(request, 1, "schedule")
    os.kill(os.getpid(), signal.SIGKILL)


def fill_the_gpu(request: TrainRequest) -> None:
    """Run out of GPU memory as long as batches have more than 6 examples."""
    if request.config.batch_size > 6:
        begin()
        reporter.report(Failure(code="cuda_out_of_memory", message="the GPU's memory is full", peak_gpu_bytes=99))
        sys.exit(EXIT_FAILED)
    succeed(request)


def leave_a_child(request: TrainRequest) -> None:
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG_SECONDS})"])
    Path(request.output_dir.parent / "request.child").write_text(str(child.pid))
    succeed(request)


def chatter(request: TrainRequest) -> None:
    listen()
    begin()
    for _line in range(3000):
        sys.stderr.write("x" * 99 + "\n")
    sys.stderr.flush()
    fail(request)


SCENARIOS = {
    function.__name__: function
    for function in (
        succeed,
        succeed_without_bundle,
        fail,
        crash,
        end_in_silence,
        be_killed,
        work_until_stopped,
        ignore_stop,
        ignore_everything,
        work_with_checkpoints,
        crash_after_a_checkpoint,
        fill_the_gpu,
        leave_a_child,
        chatter,
    )
}


def wait_for_request() -> Path:
    """What a spare does before its training, in the state that a test asks for."""
    state = os.environ.get("SPARE_STATE", "ready")
    if state == "broken":
        sys.exit("ImportError: no module of this name")
    sys.stderr.write("a library warns while it is imported\n")
    sys.stderr.flush()
    if state != "importing":
        reporter.report(Ready())
    line = read_line()
    if not line:
        sys.exit(EXIT_ORPHANED)
    if state == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if state == "deaf":
        time.sleep(LONG_SECONDS)
    path = read_request_line(line)
    os.chdir(path.parent)
    sys.stderr.write("a spare takes the request\n")
    return path


if __name__ == "__main__":
    path = wait_for_request() if sys.argv[2] == "--spare" else Path(sys.argv[2])
    SCENARIOS[sys.argv[1]](TrainRequest.model_validate_json(path.read_bytes()))
