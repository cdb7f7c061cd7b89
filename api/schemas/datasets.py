"""Wire models of datasets: the upload, its statistics in a base model's tokens, and a preview of examples."""

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from api.schemas import examples
from api.schemas.base import Read
from emomodel.config import EmotionSpan
from emomodel.insights.preview import PreviewExample
from emomodel.insights.token_report import TokenReport
from jobs.models import Dataset


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
        description="What the dataset contains, with warnings about it; null in lists."
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


class StatisticsRead(Read):
    """The statistics of a dataset in a base model's tokens."""

    dataset_id: str
    base_model: str
    tokenizer_sha256: str = Field(
        description="Digest of the base model's tokenizer files, on which all numbers depend."
    )
    statistics: TokenReport


class StatisticsPending(Read):
    """The statistics of a large dataset are being computed."""

    status: Literal["computing"] = "computing"
    message: str


class PreviewRead(Read):
    """Examples as the training sees them, in the file's order."""

    dataset_id: str
    base_model: str
    axes: list[str] = Field(description="The emotion axes, in the order of the numbers in each `emotion`.")
    max_length: int
    emotion_span: EmotionSpan
    items: list[PreviewExample]
    next_offset: int | None = Field(description="Send it as `offset` for the next page; null at the end.")
