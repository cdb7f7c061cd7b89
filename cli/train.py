"""`emotune train`: one training run on this machine, without a service."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cli.emomodel_process import ChildFailed
from cli.errors import CliError
from cli.overrides import parse_overrides
from cli.progress import ProgressLine, format_duration, format_metric
from emomodel.bundle import pack
from emomodel.config import Preset, make_config
from emomodel.progress import Failure, Metric, Notice, Phase, Result, parse_progress
from emomodel.request import TrainRequest
from jobs.settings import GIB


class OutputRefused(CliError):
    """The bundle can't be written where it was asked for."""


def train_here(dataset: Path, *, base: str, output: Path, preset: Preset, overrides: Sequence[str]) -> None:
    """Raises OverrideError, OutputRefused, pydantic.ValidationError for a wrong config, ChildFailed."""
    config = make_config(preset, parse_overrides(overrides))
    _check_writable(output)
    with dataset.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    with tempfile.TemporaryDirectory(prefix="emotune-train-") as scratch:
        folder = Path(scratch)
        request = TrainRequest(
            dataset_path=dataset.absolute(),
            dataset_name=dataset.name,
            dataset_sha256=sha256,
            base_model=Path(base).name if Path(base).is_dir() else base,
            base_model_path=base,
            config=config,
            output_dir=folder / "output",
        )
        (folder / "request.json").write_text(request.model_dump_json())
        _run(folder)
        pack(request.output_dir, output)
    print(output)


def _check_writable(output: Path) -> None:
    """Before hours of training, not after. Raises OutputRefused."""
    if output.is_dir():
        raise OutputRefused(
            f"{output} is a folder; give the name of the bundle to write, as in {output / 'bundle.zip'}"
        )
    if not os.access(output.parent, os.W_OK):
        raise OutputRefused(f"the folder {output.parent} doesn't exist or can't be written to; make it first")


def _run(folder: Path) -> None:
    argv = [sys.executable, "-m", "emomodel", "train", str(folder / "request.json")]
    line = ProgressLine(sys.stderr)
    failure = ""
    log_path = folder / "log.txt"
    with (
        log_path.open("w") as log,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True) as child,  # noqa: S603  our own argv
    ):
        for text in child.stdout or ():
            progress = parse_progress(text)
            if isinstance(progress, Metric):
                line.show(format_metric(progress.model_dump()), phase="training")
            elif isinstance(progress, Phase):
                line.show(progress.name.replace("_", " ") + " ...", phase=progress.name)
            elif isinstance(progress, Notice):
                line.finish(progress.message)
            elif isinstance(progress, Failure):
                failure = progress.message
            elif isinstance(progress, Result):
                line.finish(_describe(progress))
    if child.returncode != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
        raise ChildFailed(failure or f"training ended with exit code {child.returncode}; its last lines:\n{tail}")


def _describe(result: Result) -> str:
    return (
        f"{result.step_count} steps in {format_duration(result.train_seconds)}, last loss {result.final_loss:.3f}, "
        f"peak memory {result.peak_memory_bytes / GIB:.1f} GiB"
    )
