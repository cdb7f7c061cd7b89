"""Wire models of metrics: one by one, and as columns for drawing."""

from collections.abc import Sequence

from pydantic import Field

from api.schemas.base import Read
from jobs.runs.metrics import MetricPoint


class MetricRead(Read):
    """Numbers at a step, those of jobs.runs.metrics.SampledMetric. One that was not finite is null."""

    cursor: str
    attempt: int
    step: int
    total_steps: int
    epoch: float
    loss: float | None
    lora_learning_rate: float | None
    emotion_learning_rate: float | None
    grad_norm: float | None
    tokens_per_second: float | None
    token_count: int
    elapsed_seconds: float
    eta_seconds: float | None
    memory_bytes: int
    eval_loss: float | None = Field(None, description="On what is held out, where it was measured at this step.")
    eval_neutral_loss: float | None = Field(None, description="The same with every emotion left out.")
    gpu_utilization_percent: float | None = Field(
        None, description="Of the slot's GPU a few seconds before, like the three that follow; null on a CPU slot."
    )
    gpu_memory_used_bytes: int | None = Field(None, description="By all who use the GPU.")
    gpu_temperature_celsius: float | None = None
    gpu_power_watts: float | None = None

    @classmethod
    def of(cls, point: MetricPoint) -> "MetricRead":
        return cls(cursor=str(point.cursor), attempt=point.cursor.attempt, **point.values)


class CurveColumns(Read):
    """The numbers of metrics, a list for each field of MetricRead: the n-th of each are those of the n-th metric."""

    attempt: list[int]
    step: list[int]
    total_steps: list[int]
    epoch: list[float]
    loss: list[float | None]
    lora_learning_rate: list[float | None]
    emotion_learning_rate: list[float | None]
    grad_norm: list[float | None]
    tokens_per_second: list[float | None]
    token_count: list[int]
    elapsed_seconds: list[float]
    eta_seconds: list[float | None]
    memory_bytes: list[int]
    eval_loss: list[float | None]
    eval_neutral_loss: list[float | None]
    gpu_utilization_percent: list[float | None]
    gpu_memory_used_bytes: list[int | None]
    gpu_temperature_celsius: list[float | None]
    gpu_power_watts: list[float | None]

    @classmethod
    def of(cls, points: Sequence[MetricPoint]) -> "CurveColumns":
        attempts = [point.cursor.attempt for point in points]
        rows = [point.values for point in points]
        return cls.model_validate(
            {name: [row.get(name) for row in rows] for name in cls.model_fields} | {"attempt": attempts}
        )


class Curves(Read):
    """Metrics as columns, oldest first. Send `next_cursor` as `after` for those that follow, now or later."""

    columns: CurveColumns
    next_cursor: str | None
