"""What is measured while a training runs: the metrics, and the loss on what is held out."""
# ruff: noqa: ARG002 - the Trainer passes all of these to each callback by name

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emomodel.batches.order import BatchOrder
from emomodel.checkpoints.log_window import LogWindow
from emomodel.errors import Stopped
from emomodel.evaluation.losses import Evaluation
from emomodel.protocol.control import RunRequests
from emomodel.protocol.peaks import get_peak_memory_bytes
from emomodel.protocol.progress import Metric, Reporter
from emomodel.training.divergence import DivergenceWatch
from emomodel.training.optimizer import EMOTION_GROUP, LORA_GROUP


@dataclass(frozen=True)
class DueMetric:
    """A metric whose loss is still being computed. Its loss is the mean over the last `step_count` steps.

    The learning rates are those of the step's update, of the adapter and of the projection.
    """

    step: int
    step_count: int
    learning_rates: tuple[float, float]
    evaluation: Evaluation | None


class MetricCallback(TrainerCallback):
    """Reports a Metric at each log and at the last step."""

    def __init__(
        self,
        reporter: Reporter,
        order: BatchOrder,
        *,
        step_count: int,
        batches_per_step: int,
        window: LogWindow,
        earlier: Sequence[Metric] = (),
    ) -> None:
        """For a training that resumes, `window` is that of its checkpoint, and `earlier` are the metrics up to there.

        `order` gives the batches, of which `batches_per_step` make one of the `step_count` steps of the training.
        """
        self._reporter = reporter
        self._order = order
        self._step_count = step_count
        self._batches_per_step = batches_per_step
        self._learning_rates = window.learning_rates
        self.metrics = list(earlier)
        self._evaluation: Evaluation | None = None
        self._is_evaluation_due = False
        self._clock = _Clock(window, self._count_tokens(window.step))
        self._watch = DivergenceWatch()
        for metric in earlier:
            self._watch.see(metric.loss, metric.step)

    def complete(self, window: LogWindow) -> LogWindow:
        """Return `window`, which has the Trainer's part, with the part of this callback."""
        return window.model_copy(
            update={
                "elapsed_seconds": self._clock.elapsed_seconds,
                "evaluation_is_due": self._is_evaluation_due,
                "learning_rates": self._learning_rates,
            }
        )

    def find_eval_loss(self, step: int) -> float | None:
        """The loss on what is held out, if it was measured at `step`, in nats per target token."""
        return self.metrics[-1].eval_loss if self.metrics and self.metrics[-1].step == step else None

    def defer_evaluation(self) -> None:
        """Leave the evaluation and the metric of this step to the run that resumes from its checkpoint."""
        self._is_evaluation_due = True

    def note_evaluation(self, evaluation: Evaluation, seconds: float) -> None:
        """Report `evaluation` with the next metric. The `seconds` that it took don't count as training."""
        self._evaluation = evaluation
        self._clock.leave_out(seconds)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._clock.start()

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The learning rates of this update: at the time of the log, the schedule has already set those of the next.
        groups = kwargs["optimizer"].param_groups
        self._learning_rates = (groups[LORA_GROUP]["lr"], groups[EMOTION_GROUP]["lr"])

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            control.should_log = True

    def begin(self, step: int, step_count: int) -> DueMetric:
        """Note what belongs to the metric of `step`, whose loss is the mean over the last `step_count` steps."""
        evaluation, self._evaluation = self._evaluation, None
        return DueMetric(step, step_count, self._learning_rates, evaluation)

    def finish(self, due: DueMetric, loss_sum: float, grad_norm: float | None) -> None:
        """Report a metric whose steps have losses of `loss_sum` together. Raises LossDiverged if training is lost."""
        metric = self._make_metric(due, loss_sum / due.step_count, grad_norm)
        self._watch.see(metric.loss, metric.step)
        self.metrics.append(metric)
        self._reporter.report(metric)

    def _count_batches(self, step: int) -> int:
        return min(step * self._batches_per_step, len(self._order))

    def _count_tokens(self, step: int) -> int:
        return self._order.count_tokens(self._count_batches(step))

    def _make_metric(self, due: DueMetric, loss: float, grad_norm: float | None) -> Metric:
        token_count = self._count_tokens(due.step)
        reading = self._clock.read(due.step, token_count)
        return Metric(
            step=due.step,
            total_steps=self._step_count,
            epoch=self._count_batches(due.step) / self._order.batches_per_epoch,
            loss=loss,
            lora_learning_rate=due.learning_rates[0],
            emotion_learning_rate=due.learning_rates[1],
            grad_norm=grad_norm if grad_norm is not None and math.isfinite(grad_norm) else None,
            tokens_per_second=reading.tokens_per_second,
            token_count=token_count,
            elapsed_seconds=reading.elapsed_seconds,
            eta_seconds=reading.seconds_per_step * (self._step_count - due.step),
            memory_bytes=get_peak_memory_bytes(),
            eval_loss=due.evaluation.loss if due.evaluation else None,
            eval_neutral_loss=due.evaluation.neutral_loss if due.evaluation else None,
        )


class EvaluationCallback(TrainerCallback):
    """Measures the loss on what is held out, every `every` steps and at the last one.

    A stop interrupts an evaluation, which may take minutes. When the training resumes, it starts with that evaluation.
    A stop that saves doesn't interrupt the evaluation of the last step, since the training is then complete.
    """

    def __init__(
        self,
        evaluate: Callable[[Callable[[], bool]], Evaluation],
        progress: MetricCallback,
        requests: RunRequests,
        *,
        every: int,
    ) -> None:
        """`evaluate` gets a function that it calls between batches; if that returns True, it raises Stopped."""
        self._evaluate = evaluate
        self._progress = progress
        self._requests = requests
        self._every = every

    def measure(self, should_stop: Callable[[], bool]) -> None:
        """Evaluate, and note the result for the next metric. Raises Stopped when `should_stop` returns True."""
        began = time.monotonic()
        evaluation = self._evaluate(should_stop)
        self._progress.note_evaluation(evaluation, time.monotonic() - began)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        is_last = state.global_step >= state.max_steps
        if state.global_step % self._every and not is_last:
            return
        requests = self._requests
        try:
            self.measure(lambda: requests.is_dropped or (requests.is_stopping and not is_last))
        except Stopped:
            if requests.is_dropped:
                raise
            self._progress.defer_evaluation()
            control.should_log = False
        else:
            control.should_log = True


@dataclass(frozen=True)
class _Reading:
    """The time since the training began, without interruptions, and its speed in this run."""

    elapsed_seconds: float
    tokens_per_second: float
    seconds_per_step: float


class _Clock:
    """Measures time and speed. The speed counts from the first metric of this process: before it, code is compiled."""

    def __init__(self, window: LogWindow, token_count: int) -> None:
        """`window` and `token_count` are where the training was when it was interrupted."""
        self._earlier_seconds = window.elapsed_seconds
        self._earlier_step = window.step
        self._earlier_tokens = token_count
        self._started_at = time.monotonic()
        self._first: tuple[float, int, int] | None = None
        self._left_out_seconds = 0.0

    def start(self) -> None:
        self._started_at = time.monotonic()

    def leave_out(self, seconds: float) -> None:
        self._left_out_seconds += seconds

    @property
    def elapsed_seconds(self) -> float:
        """The seconds since the training began, without interruptions and evaluations."""
        return self._earlier_seconds + self._read_seconds() - self._started_at

    def read(self, step: int, token_count: int) -> _Reading:
        now = self._read_seconds()
        began = self._first or (self._started_at, self._earlier_step, self._earlier_tokens)
        self._first = self._first or (now, step, token_count)
        seconds = max(now - began[0], 1e-9)
        return _Reading(
            elapsed_seconds=self._earlier_seconds + now - self._started_at,
            tokens_per_second=(token_count - began[2]) / seconds,
            seconds_per_step=seconds / max(step - began[1], 1),
        )

    def _read_seconds(self) -> float:
        return time.monotonic() - self._left_out_seconds
