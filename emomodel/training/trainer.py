"""EmotionalTrainer: transformers' Trainer with a fixed order of batches, recorded passes and complete checkpoints."""
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
from emomodel.training.checkpoint_callback import CheckpointCallback
from emomodel.training.checkpoint_content import load_trained, save_trained
from emomodel.training.cuda_graph import GraphedPass

logger = logging.getLogger(__name__)


class EmotionalTrainer(Trainer):
    """Takes its batches in the order of a BatchOrder; all of the training is one epoch of the Trainer."""

    def __init__(
        self,
        *,
        order: BatchOrder,
        records_pass: bool,
        on_not_recorded: Callable[[str], None],
        checkpoints: Sequence[CheckpointCallback],
        window: LogWindow,
        catch_up: Callable[[], None],
        on_step: Callable[[int, Callable[[], float]], None],
        **options: Any,
    ) -> None:
        """Take `options` for transformers' Trainer.

        `records_pass` replays the forward and backward pass as a CUDA graph, which needs batches of one shape. If that
        can't be done, `on_not_recorded` is called with the reason, and the training continues without. `window` is that
        of the checkpoint that the training resumes from; `catch_up` does the evaluation that was due there. `on_step`
        is called as Reporter.note_step is.
        """
        super().__init__(**options)
        self._order = order
        self._records_pass = records_pass
        self._on_not_recorded = on_not_recorded
        self._pass: GraphedPass | None = None
        self._checkpoints = checkpoints
        self._window = window
        self._catch_up = catch_up
        self._grad_norm: Tensor | float | None = None
        self._step_loss: Tensor | None = None
        self.add_callback(_StepNotes(self._begin, self._take_step_loss, on_step))

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
        if not self._records_pass:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
            return loss
        model.train()
        batch = self._prepare_inputs(inputs) | {"num_items_in_batch": num_items_in_batch}
        if self._pass is None:
            try:
                self._pass = GraphedPass(model, batch, accumulates=self.args.gradient_accumulation_steps > 1)
            except RuntimeError as error:
                logger.warning("the pass can't be recorded as a CUDA graph", exc_info=True)
                self._records_pass = False
                torch.cuda.empty_cache()
                self._on_not_recorded(str(error).strip().partition("\n")[0])
                return self._learn(model, inputs, num_items_in_batch)
        return self._pass(batch)

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

    def _maybe_log_save_evaluate(self, tr_loss: Tensor, grad_norm: Any, *arguments: Any, **options: Any) -> None:
        self._grad_norm = grad_norm
        super()._maybe_log_save_evaluate(tr_loss, grad_norm, *arguments, **options)

    def _begin(self) -> None:
        """Restore what the Trainer doesn't: the losses since the last metric, and the interval of the logs."""
        self.state.logging_steps = self.args.logging_steps  # type: ignore[assignment]  # steps, not a share of them
        self._globalstep_last_logged = self._window.last_logged_step
        self._tr_loss += self._window.loss_sum
        if self._window.evaluation_is_due:
            self._catch_up()
            self._log_due_metric()

    def _log_due_metric(self) -> None:
        """Log as the Trainer would have done at the step of the checkpoint."""
        step_count = self.state.global_step - self._globalstep_last_logged
        logs = {"loss": self._tr_loss.item() / step_count}
        if self._window.grad_norm is not None:
            logs["grad_norm"] = self._window.grad_norm
        self._tr_loss -= self._tr_loss
        self._globalstep_last_logged = self.state.global_step
        self.log(logs)

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
    """Calls back into EmotionalTrainer when the training begins, and reports each update."""

    def __init__(
        self,
        begin: Callable[[], None],
        take_step_loss: Callable[[], Tensor | None],
        on_step: Callable[[int, Callable[[], float]], None],
    ) -> None:
        self._begin = begin
        self._take_step_loss = take_step_loss
        self._on_step = on_step

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._begin()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # This is before anything is decided about the step, and before the Trainer counts it.
        loss = self._take_step_loss()
        if loss is not None:
            self._on_step(state.global_step + 1, loss.item)
