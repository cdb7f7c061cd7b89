"""CheckpointSaver: saves checkpoints. One that can't be saved is reported, and the training continues."""

import errno
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from emomodel.checkpoints.folder import CheckpointFolder
from emomodel.errors import get_first_line
from emomodel.protocol.progress import CHECKPOINT_FAILED, Checkpoint, CheckpointReason, Notice, Reporter

logger = logging.getLogger(__name__)

_MIB = 1024**2
# PyTorch's writer raises a RuntimeError with one of these words for a file that can't be written.
_WRITER_WORDS = ("PytorchStreamWriter", "inline_container", "unexpected pos", "iostream error")


class CheckpointSaver:
    """Checks the free space of the disk, has a checkpoint written, puts it in its place and reports it."""

    def __init__(
        self,
        folder: CheckpointFolder,
        reporter: Reporter,
        *,
        expected_bytes: int,
        min_free_bytes: int,
        free_bytes: Callable[[Path], int],
        resumed_step: int | None,
    ) -> None:
        """`expected_bytes` is the estimated size of the first checkpoint; later ones are expected to be like the last.

        `min_free_bytes` have to stay free on the disk, of which `free_bytes` returns the free space. `resumed_step` is
        that of the checkpoint that the training resumes from, if any.
        """
        self._folder = folder
        self._reporter = reporter
        self._expected_bytes = expected_bytes
        self._min_free_bytes = min_free_bytes
        self._free_bytes = free_bytes
        self._last_step = resumed_step

    def save(self, step: int, reason: CheckpointReason, *, eval_loss: float | None, write: Callable[[], None]) -> None:
        """Save a checkpoint, whose files `write` writes into the scratch folder. A failure is reported as a notice."""
        began = time.monotonic()
        try:
            self._check_room()
            write()
            saved = self._folder.adopt(step, eval_loss=eval_loss)
        except (OSError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not any(words in str(error) for words in _WRITER_WORDS):
                raise
            logger.warning("the checkpoint of step %s was not saved", step, exc_info=True)
            self._folder.clear_scratch()
            self._reporter.report(self._make_notice(step, reason, error))
            return
        self._expected_bytes, self._last_step = saved.size_bytes, step
        self._reporter.report(
            Checkpoint(
                step=step,
                path=str(saved.path),
                size_bytes=saved.size_bytes,
                seconds=time.monotonic() - began,
                reason=reason,
            )
        )

    def _check_room(self) -> None:
        """Raise OSError when the disk has too little space for a checkpoint."""
        self._folder.scratch.mkdir(parents=True, exist_ok=True)
        if self._find_free() < self._expected_bytes + self._min_free_bytes:
            raise OSError(errno.ENOSPC, "too little space is left on the disk")

    def _find_free(self) -> int:
        return self._free_bytes(self._folder.scratch.parent)

    def _make_notice(self, step: int, reason: CheckpointReason, error: Exception) -> Notice:
        room = f"it needs {self._expected_bytes / _MIB:.1f} MiB"
        if self._min_free_bytes:
            room += f" in addition to {self._min_free_bytes / _MIB:.1f} MiB that have to stay free"
        try:
            room += f", and {self._find_free() / _MIB:.1f} MiB are free"
        except OSError:
            logger.warning("the free space can't be determined", exc_info=True)
        if reason != "stop":
            outlook = "the training continues without it"
        elif self._last_step is None:
            outlook = "there is none yet, so the next run starts from the beginning"
        else:
            outlook = f"the next run resumes from the last one, of step {self._last_step}"
        return Notice(
            code=CHECKPOINT_FAILED,
            message=f"the checkpoint of step {step} could not be saved: {_describe(error)} ({room}); {outlook}",
        )


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RuntimeError):
        # PyTorch's message says by how many bytes its file is too short, but not why.
        return "a file could not be written completely"
    return get_first_line(error)


def find_free_bytes(folder: Path) -> int:
    """Return the bytes that are free for this process on the disk under `folder`. Raises OSError."""
    return shutil.disk_usage(folder).free
