"""What happens at each step beside the arithmetic: metrics go out, a stop request comes in."""
# ruff: noqa: ARG002 - the Trainer passes all of these to each callback by name

import math
import resource
import sys
import threading
import time
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emomodel.errors import LossDiverged
from emomodel.optimizer import EMOTION_GROUP, LORA_GROUP
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

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._started_at = time.monotonic()
        self._learning_rates = (0.0, 0.0)
        self.metrics: list[Metric] = []

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._started_at = time.monotonic()

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
        metric = self._make_metric(state, logs)
        if not math.isfinite(metric.loss):
            raise LossDiverged(
                f"the loss became {metric.loss} at step {metric.step}; "
                "lower lora_learning_rate and emotion_learning_rate, or raise warmup_ratio"
            )
        self.metrics.append(metric)
        self._reporter.report(metric)

    def _make_metric(self, state: TrainerState, logs: dict[str, float]) -> Metric:
        elapsed = max(time.monotonic() - self._started_at, 1e-9)
        step = state.global_step
        grad_norm = logs.get("grad_norm")
        return Metric(
            step=step,
            total_steps=state.max_steps,
            epoch=state.epoch or 0.0,
            loss=logs["loss"],
            lora_learning_rate=self._learning_rates[0],
            emotion_learning_rate=self._learning_rates[1],
            grad_norm=grad_norm if grad_norm is not None and math.isfinite(grad_norm) else None,
            tokens_per_second=state.num_input_tokens_seen / elapsed,
            token_count=int(state.num_input_tokens_seen),
            elapsed_seconds=elapsed,
            eta_seconds=elapsed / step * (state.max_steps - step),
            memory_bytes=get_peak_memory_bytes(),
        )


def get_peak_memory_bytes() -> int:
    """The most memory in use so far: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts kibibytes, macOS bytes.
    return peak if sys.platform == "darwin" else peak * 1024
