"""The checkpoint that a training goes on from: the newest one that is whole and fits."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from emomodel.checkpoint_content import check_trained
from emomodel.checkpoint_index import (
    CheckpointInfo,
    get_step,
    list_checkpoint_paths,
    read_checkpoint,
    verify_checkpoint,
)
from emomodel.errors import CheckpointUnusable
from emomodel.progress import RESUMED, Notice, Reporter


def find_checkpoint(
    own_folder: Path | None, others: Sequence[Path], model: nn.Module, course: str, reporter: Reporter
) -> CheckpointInfo | None:
    """The one to go on from, in this attempt's own folder or among `others`; each that can't be used is told."""
    own = list_checkpoint_paths(own_folder) if own_folder else []
    # Of one step, those of earlier attempts come in the order in which they were given.
    candidates = sorted(dict.fromkeys([*others, *own]), key=get_step, reverse=True)
    for path in candidates:
        try:
            found = _check(path, model, course)
        except CheckpointUnusable as error:
            reporter.report(Notice(code="checkpoint_unusable", message=str(error)))
        else:
            message = f"the training goes on from {path.name}"
            reporter.report(Notice(code=RESUMED, message=message, step=found.step))
            return found
    if candidates:
        message = "no checkpoint can be gone on from: the training begins anew"
        reporter.report(Notice(code="began_anew", message=message))
    return None


def _check(path: Path, model: nn.Module, course: str) -> CheckpointInfo:
    """Raises CheckpointUnusable."""
    found = read_checkpoint(path)
    if found.course != course:
        raise CheckpointUnusable(
            f"{path.name} is not of this training: its config, its dataset or its base model is another"
        )
    verify_checkpoint(path)
    check_trained(model, path)
    return found
