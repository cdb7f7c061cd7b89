"""find_start: the checkpoint that a training resumes from, which is the newest one that is complete and fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from torch import nn

from emomodel.checkpoints.index import (
    CheckpointInfo,
    get_step,
    list_checkpoint_paths,
    read_checkpoint,
    verify_checkpoint,
)
from emomodel.checkpoints.log_window import LogWindow, read_window
from emomodel.errors import CheckpointUnusable
from emomodel.protocol.progress import METRICS_FILE, RESUMED, Metric, Notice, Reporter, read_metrics
from emomodel.training.checkpoint_content import check_trained


@dataclass(frozen=True)
class Start:
    """Where a run starts: at a checkpoint with the metrics up to it, or at the beginning of the training."""

    checkpoint: CheckpointInfo | None
    window: LogWindow
    metrics: Sequence[Metric]


def find_start(
    own_folder: Path | None, others: Sequence[Path], model: nn.Module, course: str, reporter: Reporter
) -> Start:
    """Find the newest usable checkpoint in `own_folder`, the one of this attempt, or among `others`.

    `course` is the digest of what a checkpoint has to belong to (checkpoints/course.py). Each checkpoint that can't be
    used is reported, and so is the one that is used.
    """
    own = list_checkpoint_paths(own_folder) if own_folder else []
    # The sort is stable: of checkpoints of one step, those of earlier attempts come in the order of `others`.
    candidates = sorted(dict.fromkeys([*others, *own]), key=get_step, reverse=True)
    for path in candidates:
        try:
            start = _read(path, model, course)
        except CheckpointUnusable as error:
            reporter.report(Notice(code="checkpoint_unusable", message=str(error)))
        else:
            reporter.report(Notice(code=RESUMED, message=f"the training resumes from {path.name}", step=get_step(path)))
            return start
    if candidates:
        message = "no checkpoint can be used: the training starts again from the beginning"
        reporter.report(Notice(code="began_anew", message=message))
    return Start(None, LogWindow(), ())


def _read(path: Path, model: nn.Module, course: str) -> Start:
    """Read a checkpoint and check that it is complete and fits. Raises CheckpointUnusable."""
    found = read_checkpoint(path)
    if found.course != course:
        raise CheckpointUnusable(
            f"{path.name} does not belong to this training: its config, its dataset or its base model differs"
        )
    verify_checkpoint(path)
    check_trained(model, path)
    try:
        return Start(found, read_window(path), read_metrics(path / METRICS_FILE))
    except (OSError, ValidationError) as error:
        raise CheckpointUnusable(f"{path.name} was written by another version of emotune") from error
