"""Wire models of metrics: one by one, and as columns for drawing."""

from collections.abc import Sequence

from pydantic import create_model

from api.schemas.base import Read
from emomodel.protocol.progress import MetricNumbers
from jobs.runs.metrics import GpuReading, MetricPoint


class _Place(Read):
    cursor: str
    attempt: int


class MetricRead(GpuReading, MetricNumbers[float | None], _Place):
    """Numbers at a step, those of jobs.runs.metrics.SampledMetric. One that was not finite is null."""

    @classmethod
    def of(cls, point: MetricPoint) -> "MetricRead":
        return cls(cursor=str(point.cursor), attempt=point.cursor.attempt, **point.values)


# A list for each field of MetricRead. Only the cursor has none: a curve has one at its end.
_Columns = create_model(
    "_Columns",
    __base__=Read,
    **{  # type: ignore[call-overload]  # mypy can't see which fields these are
        name: (list[field.annotation], ...)  # type: ignore[name-defined]  # made here
        for name, field in MetricRead.model_fields.items()
        if name != "cursor"
    },
)


class CurveColumns(_Columns):
    """The numbers of metrics, a list for each field of MetricRead: the n-th of each are those of the n-th metric."""

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
