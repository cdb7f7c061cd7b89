"""The checkpoint that a training goes on from: the newest one that is whole and fits."""

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
    """Where a training begins: at a checkpoint with the metrics up to there, or at its beginning."""

    checkpoint: CheckpointInfo | None
    window: LogWindow
    metrics: Sequence[Metric]


def find_start(
    own_folder: Path | None, others: Sequence[Path], model: nn.Module, course: str, reporter: Reporter
) -> Start:
    """By a checkpoint in this attempt's own folder or among `others`; each that can't be used is told."""
    own = list_checkpoint_paths(own_folder) if own_folder else []
    # Of one step, those of earlier attempts come in the order in which they were given.
    candidates = sorted(dict.fromkeys([*others, *own]), key=get_step, reverse=True)
    for path in candidates:
        try:
            start = _read(path, model, course)
        except CheckpointUnusable as error:
            reporter.report(Notice(code="checkpoint_unusable", message=str(error)))
        else:
            reporter.report(Notice(code=RESUMED, message=f"the training goes on from {path.name}", step=get_step(path)))
            return start
    if candidates:
        message = "no checkpoint can be gone on from: the training begins anew"
        reporter.report(Notice(code="began_anew", message=message))
    return Start(None, LogWindow(), ())


def _read(path: Path, model: nn.Module, course: str) -> Start:
    """Raises CheckpointUnusable."""
    found = read_checkpoint(path)
    if found.course != course:
        raise CheckpointUnusable(
            f"{path.name} is not of this training: its config, its dataset or its base model is another"
        )
    verify_checkpoint(path)
    check_trained(model, path)
    try:
        return Start(found, read_window(path), read_metrics(path / METRICS_FILE))
    except (OSError, ValidationError) as error:
        raise CheckpointUnusable(f"{path.name} was written by another version of emotune") from error
