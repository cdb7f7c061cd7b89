"""Saving checkpoints: if one can't be saved, the training continues without it."""

import errno
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from emomodel.checkpoints.folder import CheckpointFolder
from emomodel.protocol.progress import CHECKPOINT_FAILED, Checkpoint, CheckpointReason, Notice, Reporter

logger = logging.getLogger(__name__)

_MIB = 1024**2
# PyTorch's writer has no exception class of its own for a file that can't be written.
_WRITER_WORDS = ("PytorchStreamWriter", "inline_container", "unexpected pos", "iostream error")


class CheckpointSaver:
    """Checks the free space, has a checkpoint written, moves it into place, and reports it or the failure."""

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
        """Save into `folder`.

        `expected_bytes`: the estimated size of a checkpoint; from the second on, the size of the one before.
        `min_free_bytes`: what has to stay free on the disk. `free_bytes`: returns what is free on a folder's disk.
        `resumed_step`: the step of the checkpoint that the training resumed from, or None.
        """
        self._folder = folder
        self._reporter = reporter
        self._expected_bytes = expected_bytes
        self._min_free_bytes = min_free_bytes
        self._free_bytes = free_bytes
        self._last_step = resumed_step

    def save(self, step: int, reason: CheckpointReason, *, eval_loss: float | None, write: Callable[[], None]) -> None:
        """Have `write` put the checkpoint's files into the scratch folder, and move them into place.

        A file that can't be written costs this checkpoint only, and a notice reports it: `write` raises OSError, or
        PyTorch's RuntimeError for that. Any other RuntimeError goes through.
        """
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
        """Raises OSError."""
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
            logger.warning("the free space can't be read", exc_info=True)
        if reason != "stop":
            outlook = "the training continues without it"
        elif self._last_step is None:
            outlook = "there is no earlier one, so the run will start again from the beginning"
        else:
            outlook = f"the run will resume from the last one, of step {self._last_step}"
        return Notice(
            code=CHECKPOINT_FAILED,
            message=f"the checkpoint of step {step} could not be saved: {_describe(error)} ({room}); {outlook}",
        )


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RuntimeError):
        # PyTorch reports by how many bytes its file is too short, but not why.
        return "a file could not be written completely"
    return str(error).partition("\n")[0]


def find_free_bytes(folder: Path) -> int:
    """The free bytes of the disk that holds `folder`. Raises OSError."""
    return shutil.disk_usage(folder).free
