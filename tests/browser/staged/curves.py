"""Curves shaped like those of real Gemma trainings: a warm-up, a steep beginning, and a long tail with noise."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from jobs.runs.metrics import SampledMetric

GIB = 1024**3


@dataclass(frozen=True)
class Course:
    """The course of one training. Its numbers at a step are the same at each call."""

    seed: int
    total_steps: int
    steps_per_epoch: int
    step_seconds: float
    tokens_per_step: int = 2400
    first_loss: float = 3.9
    floor: float = 1.35
    noise: float = 0.09
    lora_rate: float = 2e-4
    emotion_rate: float = 2e-3
    memory_gib: float = 31.0
    # From this step on the loss explodes.
    diverges_at: int | None = None
    # Steps between two evaluations; None for a training that holds nothing out.
    eval_every: int | None = None

    def make_metric(self, step: int, *, since_start: int | None = None) -> SampledMetric:
        """Make the numbers of a step. `since_start` counts the steps of this attempt, if others came before it."""
        chance = random.Random(self.seed * 1_000_003 + step)
        smooth = self._get_smooth_loss(step)
        seconds = (since_start or step) * self.step_seconds
        is_eval = self.eval_every is not None and (step % self.eval_every == 0 or step == self.total_steps)
        rate = self._get_rate_share(step)
        speed = self.tokens_per_step / self.step_seconds * chance.uniform(0.94, 1.04)
        return SampledMetric(
            step=step,
            total_steps=self.total_steps,
            epoch=round(step / self.steps_per_epoch, 4),
            loss=round(smooth * (1 + self.noise * chance.gauss(0, 1)), 4),
            lora_learning_rate=self.lora_rate * rate,
            emotion_learning_rate=self.emotion_rate * rate,
            grad_norm=round(abs(chance.gauss(0.55, 0.14)) + 2.4 * math.exp(-step / 30), 4),
            tokens_per_second=round(speed, 1),
            token_count=self.tokens_per_step * step,
            elapsed_seconds=round(seconds, 2),
            eta_seconds=round((self.total_steps - step) * self.step_seconds, 1),
            memory_bytes=int(self.memory_gib * GIB),
            eval_loss=round(smooth * 1.05 + chance.gauss(0, 0.01), 4) if is_eval else None,
            eval_neutral_loss=round(smooth * 1.05 + 0.34 * self._get_progress(step), 4) if is_eval else None,
            gpu_utilization_percent=float(chance.randint(88, 99)),
            gpu_memory_used_bytes=int((self.memory_gib + 1.7) * GIB),
            gpu_temperature_celsius=float(round(48 + 16 * (1 - math.exp(-seconds / 240)) + chance.uniform(-1, 1))),
            gpu_power_watts=round(chance.uniform(470, 640), 1),
        )

    def make_metrics(self, first: int, last: int, *, every: int = 1) -> Iterator[SampledMetric]:
        """Make the metrics that a run from `first` to `last` logs: at each `every` steps, and at the last of all."""
        for step in range(first, last + 1):
            if step % every == 0 or step == self.total_steps:
                yield self.make_metric(step, since_start=step - first + 1)

    def _get_progress(self, step: int) -> float:
        return 1 - math.exp(-4.5 * step / self.total_steps)

    def _get_smooth_loss(self, step: int) -> float:
        quick = (self.first_loss - self.floor) * (0.6 * math.exp(-step / (0.03 * self.total_steps + 8)))
        slow = (self.first_loss - self.floor) * 0.4 * math.exp(-3.2 * step / self.total_steps)
        if self.diverges_at is not None and step > self.diverges_at:
            explosion: float = 0.06 * (step - self.diverges_at) ** 1.7
            return self.floor + quick + slow + explosion
        return self.floor + quick + slow

    def _get_rate_share(self, step: int) -> float:
        warmup = max(0.05 * self.total_steps, 1)
        return min(step / warmup, max((self.total_steps - step) / (self.total_steps - warmup), 0.0))
