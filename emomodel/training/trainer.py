"""EmotionalTrainer: transformers' Trainer with a fixed order of batches, recorded updates and complete checkpoints."""
# ruff: noqa: ARG002 - the signatures are those of transformers' Trainer and its callbacks

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emomodel.batches.order import BatchOrder
from emomodel.checkpoints.log_window import LogWindow
from emomodel.errors import get_first_line
from emomodel.training.callbacks import MetricCallback
from emomodel.training.checkpoint_callback import CheckpointCallback
from emomodel.training.checkpoint_content import load_trained, save_trained
from emomodel.training.cuda_graph import RecordedUpdate
from emomodel.training.readings import Readings

logger = logging.getLogger(__name__)


class EmotionalTrainer(Trainer):
    """Takes its batches in the order of a BatchOrder; all of the training is one epoch of the Trainer."""

    def __init__(
        self,
        *,
        order: BatchOrder,
        records_updates: bool,
        on_not_recorded: Callable[[str], None],
        progress: MetricCallback,
        checkpoints: Sequence[CheckpointCallback],
        window: LogWindow,
        catch_up: Callable[[], None],
        on_step: Callable[[int, Callable[[], float]], None],
        **options: Any,
    ) -> None:
        """Take `options` for transformers' Trainer.

        `records_updates` replays each update as CUDA graphs, which needs batches of one shape. If that can't be done,
        `on_not_recorded` is called with the reason, and the training continues without. `progress` gets the losses.
        `window` is that of the checkpoint that the training resumes from; `catch_up` does the evaluation that was due
        there. `on_step` is called as Reporter.note_step is.
        """
        super().__init__(**options)
        self._order = order
        self._records_updates = records_updates
        self._on_not_recorded = on_not_recorded
        self._recorded: RecordedUpdate | None = None
        self._trained = [parameter for parameter in self._get_model().parameters() if parameter.requires_grad]
        self._progress = progress
        self._readings = Readings(progress.finish)
        self._checkpoints = checkpoints
        self._window = window
        self._catch_up = catch_up
        self._grad_norm: Tensor | None = None
        self._step_loss: Tensor | None = None
        self.add_callback(_StepNotes(self._begin, self._readings.pass_on_all, self._take_step_loss, on_step))

    def get_train_dataloader(self) -> DataLoader[Any]:
        loader: DataLoader[Any] = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]  # a list serves as a dataset
            batch_sampler=self._order,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        loss = self._learn(model, inputs, num_items_in_batch)
        self._step_loss = loss if self._step_loss is None else self._step_loss + loss
        return loss

    def _learn(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None) -> Tensor:
        if not self._records_updates:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        batch = inputs | {"num_items_in_batch": num_items_in_batch}
        if self._recorded is None:
            try:
                self._recorded = self._record(model, batch)
            except RuntimeError as error:
                logger.warning("an update can't be recorded as CUDA graphs", exc_info=True)
                self._records_updates = False
                torch.cuda.empty_cache()
                self._on_not_recorded(get_first_line(error))
                return self._learn(model, inputs, num_items_in_batch)
        return self._recorded.run_pass(batch)

    def _record(self, model: nn.Module, batch: dict[str, Any]) -> RecordedUpdate:
        model.train()
        optimizer: Any = self.optimizer
        return RecordedUpdate(
            model,
            # The Trainer's optimizer is Accelerate's, with AdamW in it.
            optimizer.optimizer,
            batch,
            pass_count=self.args.gradient_accumulation_steps,
            max_grad_norm=self.args.max_grad_norm,
        )

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """Clip the gradients, and return their norm before that.

        A recorded update clips and updates the weights at once, here. The optimizer's own step, which follows, then
        finds no gradient and does nothing.
        """
        if self._recorded is not None:
            return self._recorded.step()
        # The Trainer would go through all parameters of the model, of which few are trained.
        norm: Tensor = self.accelerator.clip_grad_norm_(self._trained, self.args.max_grad_norm)
        return norm

    def floating_point_ops(self, inputs: dict[str, Tensor | Any]) -> int:
        """Return 0: to count them, the Trainer would go through all parameters at each step."""
        return 0

    def _make_window(self) -> LogWindow:
        """The Trainer's part of the log window at this step. Reading it waits for the GPU."""
        return LogWindow(
            step=self.state.global_step,
            last_logged_step=self._globalstep_last_logged,
            loss_sum=self._tr_loss.item(),
            grad_norm=None if self._grad_norm is None else float(self._grad_norm),
        )

    def _maybe_log_save_evaluate(
        self, tr_loss: Tensor, grad_norm: Any, model: nn.Module, trial: Any, *arguments: Any, **options: Any
    ) -> None:
        """Do as the Trainer does, but read no number of this step. EvaluationCallback evaluates.

        `grad_norm` is what _clip_grad_norm returned.
        """
        self._grad_norm = grad_norm
        step_count = self.state.global_step - self._globalstep_last_logged
        if self.control.should_log and step_count:
            self._readings.add(self._progress.begin(self.state.global_step, step_count), tr_loss, grad_norm)
            tr_loss -= tr_loss
            self._globalstep_last_logged = self.state.global_step
        self._readings.note_step(tr_loss.device)
        if self.control.should_save:
            self._readings.pass_on_all()
            self._save_checkpoint(model, trial)
            self.control = self.callback_handler.on_save(self.args, self.state, self.control)

    def _begin(self) -> None:
        """Restore what the Trainer doesn't: the losses since the last metric, and the interval of the logs."""
        self.state.logging_steps = self.args.logging_steps  # type: ignore[assignment]  # steps, not a share of them
        self._globalstep_last_logged = self._window.last_logged_step
        self._tr_loss += self._window.loss_sum
        if self._window.evaluation_is_due:
            self._catch_up()
            self._report_due_metric()

    def _report_due_metric(self) -> None:
        """Report the metric that was due at the step of the checkpoint."""
        step = self.state.global_step
        due = self._progress.begin(step, step - self._globalstep_last_logged)
        self._progress.finish(due, self._tr_loss.item(), self._window.grad_norm)
        self._tr_loss -= self._tr_loss
        self._globalstep_last_logged = step

    def _take_step_loss(self) -> Tensor | None:
        loss, self._step_loss = self._step_loss, None
        return loss

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Called by the Trainer when a CheckpointCallback has asked for it."""
        for checkpoint in self._checkpoints:
            checkpoint.save(lambda: super(EmotionalTrainer, self)._save_checkpoint(model, trial), self._make_window())

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = output_dir or self.args.output_dir
        save_trained(self._get_model(), Path(str(folder)))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        load_trained(model or self._get_model(), Path(resume_from_checkpoint))

    def _get_model(self) -> nn.Module:
        model: nn.Module = self.model  # type: ignore[assignment]  # it can only be None before training
        return model


class _StepNotes(TrainerCallback):
    """Calls back into EmotionalTrainer when the training begins and ends, and reports each update."""

    def __init__(
        self,
        begin: Callable[[], None],
        end: Callable[[], None],
        take_step_loss: Callable[[], Tensor | None],
        on_step: Callable[[int, Callable[[], float]], None],
    ) -> None:
        self._begin = begin
        self._end = end
        self._take_step_loss = take_step_loss
        self._on_step = on_step

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._begin()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._end()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # This is before anything is decided about the step, and before the Trainer counts it.
        loss = self._take_step_loss()
        if loss is not None:
            self._on_step(state.global_step + 1, loss.item)
