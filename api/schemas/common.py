"""Wire models: what goes in and out of the HTTP API as JSON. Those of jobs, slots, queue and uploads stand beside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from api.schemas import examples
from emomodel.config import PRESET_DESCRIPTIONS, EmotionSpan, Preset, make_config
from emomodel.insights.preview import PreviewExample
from emomodel.insights.token_report import TokenReport
from emomodel.protocol.progress import MetricNumbers
from jobs.base_models.base_model import BaseModel as ListedBaseModel
from jobs.models import Artifact, Dataset, Event
from jobs.queue.reasons import WaitCode, WaitReason
from jobs.runs.metrics import GpuReading, MetricPoint

MAX_NAME_LENGTH = 200

# Names are shown to people and kept in databases that take no zero byte: no control characters.
NAME_PATTERN = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN),
]


Item = TypeVar("Item")


class Read(BaseModel):
    """What goes out; frozen, as an answer is a fact of its moment."""

    model_config = ConfigDict(frozen=True)


class Page(Read, Generic[Item]):
    """Some items, newest first. `next_cursor` is handed back as `cursor`; null at the end."""

    items: list[Item]
    next_cursor: str | None


class Items(Read, Generic[Item]):
    """All items."""

    items: list[Item]


class Feed(Read, Generic[Item]):
    """Items in the order in which they came. `next_cursor` is handed back as `after`, now or when there may be more."""

    items: list[Item]
    next_cursor: str | None


class FieldProblem(Read):
    """One thing wrong with a request."""

    field: str | None = Field(None, description="Dotted path of the field, such as `config.lora_rank`.")
    message: str


class ErrorInfo(Read):
    """What went wrong, and what to do."""

    code: str = Field(description="Stable word for programs.")
    message: str = Field(description="A sentence for people, with advice.")
    field: str | None = Field(None, description="What part of the request it is about: a dotted path.")
    details: list[FieldProblem] | None = Field(
        None, description="All that is wrong with the request, when there is more than the one above."
    )


class ErrorBody(Read):
    """The one shape of every error."""

    error: ErrorInfo
    report: dict[str, Any] | None = Field(
        None, description="Of a dataset with bad lines: the report, each problem with its line and a fix."
    )


class DatasetRead(Read):
    """An uploaded, validated, immutable file."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DATASET]})

    id: str
    name: str
    size_bytes: int
    sha256: str
    axes: list[str]
    example_count: int
    created_at: datetime
    report: dict[str, Any] | None = Field(
        description="What the dataset holds and what could be better in it; null in lists."
    )

    @classmethod
    def of(cls, dataset: Dataset, *, with_report: bool = True) -> "DatasetRead":
        return cls(
            id=dataset.id,
            name=dataset.name,
            size_bytes=dataset.size_bytes,
            sha256=dataset.sha256,
            axes=dataset.axes,
            example_count=dataset.example_count,
            created_at=dataset.created_at,
            report=dataset.report if with_report else None,
        )


class WaitReasonRead(Read):
    """Why a job waits."""

    code: WaitCode = Field(description="Stable word for programs.")
    message: str = Field(description="For people.")

    @classmethod
    def of(cls, reason: WaitReason) -> "WaitReasonRead":
        return cls(code=reason.code, message=reason.message)


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
    """Metrics by columns, oldest first. `next_cursor` is handed back as `after`, now or when there may be more."""

    columns: CurveColumns
    next_cursor: str | None


class EventRead(Read):
    """A dated, readable fact about a job."""

    cursor: str
    attempt: int
    at: datetime
    kind: str
    message: str

    @classmethod
    def of(cls, event: Event) -> "EventRead":
        return cls(cursor=str(event.id), attempt=event.attempt, at=event.at, kind=event.kind, message=event.message)


class ArtifactRead(Read):
    """A stored output of a job, to be had at `GET /jobs/{job_id}/artifacts/{kind}`."""

    kind: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime

    @classmethod
    def of(cls, artifact: Artifact) -> "ArtifactRead":
        return cls(
            kind=artifact.kind,
            filename=artifact.filename,
            media_type=artifact.media_type,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            created_at=artifact.created_at,
        )


class BaseModelRead(Read):
    """A base model that jobs may name."""

    name: str
    is_available: bool = Field(description="False when the operator listed it and its files are not there.")
    size_bytes: int | None = Field(description="Of its weights, where that is known.")

    @classmethod
    def of(cls, model: ListedBaseModel, is_available: bool) -> "BaseModelRead":
        return cls(name=model.name, is_available=is_available, size_bytes=model.size_bytes)


class PresetRead(Read):
    """What a job's config may start from."""

    name: Preset
    description: str
    config: dict[str, Any] = Field(description="The whole TrainConfig, defaults filled in.")

    @classmethod
    def of(cls, preset: Preset) -> "PresetRead":
        config = make_config(preset).model_dump(mode="json")
        return cls(name=preset, description=PRESET_DESCRIPTIONS[preset], config=config)


class CheckRead(Read):
    """One thing that the service needs."""

    ok: bool
    message: str


class Liveness(Read):
    """The process answers."""

    status: str = "alive"


class Readiness(Read):
    """Whether a job that is posted now will be stored and run; `error` names what fails."""

    PARTS: ClassVar[tuple[str, ...]] = ("database", "redis", "worker", "disk", "storage")

    status: str
    checks: dict[str, CheckRead]
    error: ErrorInfo | None = None


class StatisticsRead(Read):
    """What a dataset is to a base model, in the model's tokens."""

    dataset_id: str
    base_model: str
    tokenizer_sha256: str = Field(description="Of the base model's tokenizer files, which all numbers depend on.")
    statistics: TokenReport


class StatisticsPending(Read):
    """The statistics of a large dataset are being computed."""

    status: Literal["computing"] = "computing"
    message: str


class PreviewRead(Read):
    """Examples as a training will take them, in the file's order."""

    dataset_id: str
    base_model: str
    axes: list[str] = Field(description="What the numbers of each `emotion` stand for.")
    max_length: int
    emotion_span: EmotionSpan
    items: list[PreviewExample]
    next_offset: int | None = Field(description="To be handed back as `offset`; null at the end.")
