"""The folder of one attempt's checkpoints: each is complete or absent; the latest few and the best are kept."""

import shutil
from pathlib import Path

from emomodel.checkpoints.index import (
    PARTIAL_FOLDER,
    CheckpointInfo,
    delete_checkpoint,
    list_checkpoint_paths,
    list_checkpoints,
    make_checkpoint_path,
    read_checkpoint,
    write_index,
)
from emomodel.files import sync


class CheckpointFolder:
    """Keeps the checkpoints of one course (emomodel.checkpoints.course) in one folder."""

    def __init__(self, path: Path, *, course: str, kept_count: int, keeps_best: bool) -> None:
        self._path = path
        self._course = course
        self._kept_count = kept_count
        self._keeps_best = keeps_best

    @property
    def scratch(self) -> Path:
        """The folder in which a checkpoint is written until it is complete."""
        return self._path / PARTIAL_FOLDER

    def adopt(self, step: int, *, eval_loss: float | None) -> CheckpointInfo:
        """Move the checkpoint of `step` from `scratch` into place, then delete older ones. Raises OSError."""
        partial, final = make_checkpoint_path(self.scratch, step), make_checkpoint_path(self._path, step)
        write_index(partial, step=step, course=self._course, eval_loss=eval_loss)
        for file in [*partial.iterdir(), partial]:
            sync(file)
        # A run that resumed from an earlier checkpoint reaches the same step again.
        delete_checkpoint(final)
        partial.rename(final)
        for folder in (self._path, self._path.parent):
            sync(folder)
        self._clear_out(step)
        return read_checkpoint(final)

    def clear_scratch(self) -> None:
        """Delete what a run has left in `scratch`; nothing in it counts as a checkpoint."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _clear_out(self, step: int) -> None:
        """Keep the latest checkpoints and the best one of this course, and all that belong to another course."""
        complete = list_checkpoints(self._path)
        # A checkpoint of a later step was found unusable, or the training would have resumed from it.
        own = [checkpoint for checkpoint in complete if checkpoint.course == self._course and checkpoint.step <= step]
        kept = {checkpoint.path for checkpoint in own[: self._kept_count]}
        measured = [(checkpoint.eval_loss, checkpoint.path) for checkpoint in own if checkpoint.eval_loss is not None]
        if self._keeps_best and measured:
            kept.add(min(measured)[1])
        kept |= {checkpoint.path for checkpoint in complete if checkpoint.course != self._course}
        for path in list_checkpoint_paths(self._path):
            if path not in kept:
                delete_checkpoint(path)
