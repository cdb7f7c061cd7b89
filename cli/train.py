"""`emotune train`: one training run on this machine, without a service."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from cli.emomodel_process import ChildFailed, refuse_without_packages
from cli.errors import CliError
from cli.overrides import parse_overrides
from cli.progress import ProgressLine, format_duration, format_metric
from emomodel.bundles.bundle import pack
from emomodel.config import Preset, make_config
from emomodel.protocol.progress import (
    EXIT_STOPPED,
    SAVE_AND_STOP_REQUEST,
    Checkpoint,
    Failure,
    Metric,
    Notice,
    Phase,
    Result,
    parse_progress,
)
from emomodel.protocol.train_request import TrainRequest
from jobs.python_processes import SAFE_PATH, make_python_argv
from jobs.settings import GIB


class OutputRefused(CliError):
    """The bundle can't be written where it was asked for."""


class TrainingStopped(CliError):
    """The training was asked to stop before its end."""


def train_here(
    dataset: Path, *, base: str, output: Path, preset: Preset, overrides: Sequence[str], checkpoints: Path | None
) -> None:
    """Train and write a bundle. A training resumes from the newest checkpoint in the folder `checkpoints`.

    Raises OverrideError, OutputRefused, pydantic.ValidationError for a wrong config, PackagesMissing, ChildFailed,
    TrainingStopped.
    """
    config = make_config(preset, parse_overrides(overrides))
    _check_writable(output)
    refuse_without_packages()
    with dataset.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    with tempfile.TemporaryDirectory(prefix="emotune-train-") as scratch:
        folder = Path(scratch)
        request = TrainRequest(
            dataset_path=dataset.absolute(),
            dataset_name=dataset.name,
            dataset_sha256=sha256,
            base_model=Path(base).name if Path(base).is_dir() else base,
            base_model_path=str(Path(base).absolute()) if Path(base).is_dir() else base,
            config=config,
            output_dir=folder / "output",
            checkpoint_dir=checkpoints.absolute() if checkpoints else None,
        )
        (folder / "request.json").write_text(request.model_dump_json())
        _run(folder, checkpoints)
        pack(request.output_dir, output)
    print(output)


def _check_writable(output: Path) -> None:
    """Check before the training that the bundle can be written. Raises OutputRefused."""
    if output.is_dir():
        raise OutputRefused(
            f"{output} is a folder; give the name of the bundle to write, as in {output / 'bundle.zip'}"
        )
    if not os.access(output.parent, os.W_OK):
        raise OutputRefused(f"the folder {output.parent} doesn't exist or can't be written to; create it first")


def _run(folder: Path, checkpoints: Path | None) -> None:
    """Run the training as a child process and show its progress. Raises ChildFailed and TrainingStopped."""
    argv = make_python_argv("-m", "emomodel", "train", "--supervised", str(folder / "request.json"))
    line = ProgressLine(sys.stderr)
    failure, last_step = "", None
    log_path = folder / "log.txt"
    with (
        log_path.open("w") as log,
        # In a session of its own, so that Ctrl-C reaches only this process, which passes the request on.
        subprocess.Popen(  # noqa: S603  our own argv
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | SAFE_PATH,
            cwd=folder,
            start_new_session=True,
        ) as child,
        _passing_on_signals(child, line),
    ):
        for text in child.stdout or ():
            progress = parse_progress(text)
            if isinstance(progress, Metric):
                line.show(format_metric(progress.model_dump()), phase="training")
            elif isinstance(progress, Phase):
                line.show(progress.name.replace("_", " ") + " ...", phase=progress.name)
            elif isinstance(progress, Notice):
                line.finish(progress.message)
            elif isinstance(progress, Checkpoint):
                last_step = progress.step
            elif isinstance(progress, Failure):
                failure = progress.message
            elif isinstance(progress, Result):
                line.finish(_describe(progress))
    if child.returncode == EXIT_STOPPED:
        raise TrainingStopped(_describe_stop(checkpoints, last_step))
    if child.returncode != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
        raise ChildFailed(failure or f"training ended with exit code {child.returncode}; its last lines:\n{tail}")


@contextmanager
def _passing_on_signals(child: subprocess.Popen[str], line: ProgressLine) -> Iterator[None]:
    """Have the first signal ask the training to save and stop, and a second one kill it."""

    def pass_on(number: int, _: FrameType | None) -> None:
        signal.signal(number, kill)
        if child.stdin is not None:
            with suppress(BrokenPipeError):
                child.stdin.write(f"{SAVE_AND_STOP_REQUEST}\n")
                child.stdin.flush()
        line.finish("stopping after this step; press Ctrl-C again to stop at once")

    def kill(_number: int, _: FrameType | None) -> None:
        child.kill()

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _describe_stop(checkpoints: Path | None, last_step: int | None) -> str:
    if checkpoints is None:
        return "stopped, and nothing is saved; with --checkpoints FOLDER a training can be resumed later"
    saved = "nothing new is saved" if last_step is None else f"saved after step {last_step}"
    return f"stopped, {saved}; the same command resumes from the newest checkpoint in {checkpoints}"


def _describe(result: Result) -> str:
    return (
        f"{result.step_count} steps in {format_duration(result.train_seconds)}, last loss {result.final_loss:.3f}, "
        f"peak memory {result.peak_memory_bytes / GIB:.1f} GiB"
    )
