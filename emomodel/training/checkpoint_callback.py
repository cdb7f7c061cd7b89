"""What is decided after each step: whether the training ends there, and whether a checkpoint is saved."""
# ruff: noqa: ARG002 - the Trainer passes all of these to each callback by name

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emomodel.checkpoints.index import make_checkpoint_path
from emomodel.checkpoints.log_window import LogWindow, write_window
from emomodel.checkpoints.saver import CheckpointSaver
from emomodel.errors import LossDiverged
from emomodel.protocol.control import RunRequests
from emomodel.protocol.progress import METRICS_FILE, CheckpointReason, write_metrics
from emomodel.training.callbacks import MetricCallback


class StopCallback(TrainerCallback):
    """Ends the training after the step in which it was asked to stop."""

    def __init__(self, requests: RunRequests) -> None:
        self._requests = requests

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._requests.is_stopping:
            control.should_training_stop = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        # A stop that is asked for while a checkpoint is saved needs neither another step nor another checkpoint.
        self.on_step_end(args, state, control)


class CheckpointCallback(TrainerCallback):
    """Saves checkpoints: every `every` steps, after the last step, on request, and before a save_and_stop."""

    def __init__(
        self, requests: RunRequests, progress: MetricCallback, saver: CheckpointSaver, scratch: Path, *, every: int
    ) -> None:
        self._requests = requests
        self._progress = progress
        self._saver = saver
        self._scratch = scratch
        self._every = every
        self._reason: CheckpointReason | None = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._reason = self._find_reason(state)
        control.should_save = self._reason is not None

    def save(self, write: Callable[[], None], window: LogWindow) -> None:
        """Save a checkpoint at the step of `window`; `write` writes the Trainer's part of it.

        Raises LossDiverged instead of saving a training whose loss is not a finite number.
        """
        if self._reason is None:
            raise ValueError("nothing was to be saved at this step")
        if not math.isfinite(window.loss_sum):
            raise LossDiverged(f"the loss became {window.loss_sum} by step {window.step}")
        folder = make_checkpoint_path(self._scratch, window.step)

        def write_all() -> None:
            try:
                write()
            except SafetensorError as error:
                # The library's only error: here it means that a file can't be written.
                raise OSError(str(error)) from error
            write_metrics(folder / METRICS_FILE, self._progress.metrics)
            write_window(folder, self._progress.complete(window))

        eval_loss = self._progress.find_eval_loss(window.step)
        self._saver.save(window.step, self._reason, eval_loss=eval_loss, write=write_all)

    def _find_reason(self, state: TrainerState) -> CheckpointReason | None:
        was_asked = self._requests.take_checkpoint_request()
        if self._requests.is_dropped:
            return None
        if state.global_step >= state.max_steps:
            return "schedule"
        if self._requests.is_stopping:
            return "stop"
        if state.global_step % self._every == 0:
            return "schedule"
        return "request" if was_asked else None
