"""What happens at each step beside the arithmetic: metrics go out, a stop request comes in."""
# ruff: noqa: ARG002 - the Trainer passes all of these to each callback by name

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emomodel.batching import BatchOrder
from emomodel.checkpoint_folder import CheckpointFolder
from emomodel.errors import LossDiverged
from emomodel.evaluation import Evaluation
from emomodel.optimizer import EMOTION_GROUP, LORA_GROUP
from emomodel.peaks import get_peak_memory_bytes
from emomodel.progress import Metric, Reporter


class StopCallback(TrainerCallback):
    """Ends the training after the step during which `stop` was set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._stop.is_set():
            control.should_training_stop = True


class MetricCallback(TrainerCallback):
    """Reports a Metric at each log, and at the last step. Raises LossDiverged when the loss is not finite."""

    def __init__(self, reporter: Reporter, order: BatchOrder, earlier: Sequence[Metric] = ()) -> None:
        """`earlier` are the metrics of a training that goes on from a checkpoint."""
        self._reporter = reporter
        self._order = order
        self._learning_rates = (0.0, 0.0)
        self.metrics = list(earlier)
        self._evaluation: Evaluation | None = None
        self._clock = _Clock(earlier[-1] if earlier else None)

    def note_evaluation(self, evaluation: Evaluation, seconds: float) -> None:
        """Goes out with the next metric. The `seconds` that it took are none of training."""
        self._evaluation = evaluation
        self._clock.leave_out(seconds)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._clock.start()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The rates of this update: by the time of the log, the schedule has set those of the next.
        groups = kwargs["optimizer"].param_groups
        self._learning_rates = (groups[LORA_GROUP]["lr"], groups[EMOTION_GROUP]["lr"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        metric = self._make_metric(args, state, logs)
        if not math.isfinite(metric.loss):
            raise LossDiverged(f"the loss became {metric.loss} at step {metric.step}")
        self.metrics.append(metric)
        self._reporter.report(metric)

    def _make_metric(self, args: TrainingArguments, state: TrainerState, logs: dict[str, float]) -> Metric:
        step = state.global_step
        batch_count = min(step * args.gradient_accumulation_steps, len(self._order))
        token_count = self._order.count_tokens(batch_count)
        reading = self._clock.read(step, token_count)
        grad_norm = logs.get("grad_norm")
        evaluation, self._evaluation = self._evaluation, None
        return Metric(
            step=step,
            total_steps=state.max_steps,
            epoch=batch_count / self._order.batches_per_epoch,
            loss=logs["loss"],
            lora_learning_rate=self._learning_rates[0],
            emotion_learning_rate=self._learning_rates[1],
            grad_norm=grad_norm if grad_norm is not None and math.isfinite(grad_norm) else None,
            tokens_per_second=reading.tokens_per_second,
            token_count=token_count,
            elapsed_seconds=reading.elapsed_seconds,
            eta_seconds=reading.seconds_per_step * (state.max_steps - step),
            memory_bytes=get_peak_memory_bytes(),
            eval_loss=evaluation.loss if evaluation else None,
            eval_neutral_loss=evaluation.neutral_loss if evaluation else None,
        )


class EvaluationCallback(TrainerCallback):
    """Measures the loss on what is held out, every so many steps and at the last one."""

    def __init__(self, evaluate: Callable[[], Evaluation], progress: MetricCallback, *, every: int) -> None:
        self._evaluate = evaluate
        self._progress = progress
        self._every = every

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step % self._every == 0 or state.global_step >= state.max_steps:
            began = time.monotonic()
            evaluation = self._evaluate()
            self._progress.note_evaluation(evaluation, time.monotonic() - began)
            control.should_log = True


class CheckpointCallback(TrainerCallback):
    """Takes over each checkpoint that the Trainer has written, with the metrics so far."""

    def __init__(self, folder: CheckpointFolder, progress: MetricCallback) -> None:
        self._folder = folder
        self._progress = progress

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._folder.adopt(state.global_step, self._progress.metrics)


@dataclass(frozen=True)
class _Reading:
    """Time since the training began, over interruptions, and the speed of late."""

    elapsed_seconds: float
    tokens_per_second: float
    seconds_per_step: float


class _Clock:
    """Measures from the first metric of this process on: before it lies what is compiled and tuned once."""

    def __init__(self, last: Metric | None) -> None:
        """`last` is the last metric before an interruption."""
        self._earlier_seconds = last.elapsed_seconds if last else 0.0
        self._earlier_step = last.step if last else 0
        self._earlier_tokens = last.token_count if last else 0
        self._started_at = time.monotonic()
        self._first: tuple[float, int, int] | None = None
        self._left_out_seconds = 0.0

    def start(self) -> None:
        self._started_at = time.monotonic()

    def leave_out(self, seconds: float) -> None:
        self._left_out_seconds += seconds

    def read(self, step: int, token_count: int) -> _Reading:
        now = time.monotonic() - self._left_out_seconds
        began = self._first or (self._started_at, self._earlier_step, self._earlier_tokens)
        self._first = self._first or (now, step, token_count)
        seconds = max(now - began[0], 1e-9)
        return _Reading(
            elapsed_seconds=self._earlier_seconds + now - self._started_at,
            tokens_per_second=(token_count - began[2]) / seconds,
            seconds_per_step=seconds / max(step - began[1], 1),
        )
