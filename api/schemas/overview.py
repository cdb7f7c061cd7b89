"""Wire models of the overview: a team's jobs as light rows."""

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import Row

from api.schemas.base import Read
from api.schemas.queue import WaitReasonRead
from jobs.priorities import PriorityClass
from jobs.queue.overview import Overview, QueuePlace
from jobs.status import JobStatus, StopKind


class RowError(Read):
    """Why a job failed, in short."""

    code: str = Field(description="A code from docs/errors.md.")
    message: str


class JobRow(Read):
    """A job as a row of a table. `GET /jobs/{job_id}` has all of it."""

    id: str
    name: str
    posted_by: str | None
    status: JobStatus
    phase: str | None
    priority: int
    priority_class: PriorityClass
    base_model: str
    dataset_name: str
    slot: str | None
    attempt: int
    step: int
    total_steps: int | None
    last_loss: float | None
    losses: list[float | None] = Field(
        description="The course of the loss in at most 64 numbers, evenly spaced over the steps so far."
    )
    tokens_per_second: float | None
    eta_seconds: float | None
    queue_position: int | None
    queue_reason: WaitReasonRead | None
    starts_at: datetime | None = Field(description="When a waiting job is expected to start, to the minute.")
    stop_kind: StopKind | None
    stop_requested: bool
    checkpoint_step: int | None
    checkpoint_requested: bool
    error: RowError | None
    peak_gpu_bytes: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Row[Any], place: QueuePlace | None) -> "JobRow":
        return cls(
            id=row.id,
            name=row.name,
            posted_by=row.posted_by,
            status=row.status,
            phase=row.phase,
            priority=row.priority,
            priority_class=row.priority_class,
            base_model=row.base_model,
            dataset_name=row.dataset_name,
            slot=row.slot,
            attempt=row.attempt,
            step=row.step,
            total_steps=row.total_steps,
            last_loss=row.last_loss,
            losses=row.loss_trace["losses"] if row.loss_trace else [],
            tokens_per_second=row.tokens_per_second,
            eta_seconds=row.eta_seconds,
            queue_position=place.position if place else None,
            queue_reason=WaitReasonRead.of(place.reason) if place else None,
            starts_at=place.starts_at if place else None,
            stop_kind=row.stop_kind,
            stop_requested=row.stop_requested_at is not None,
            checkpoint_step=row.checkpoint_step,
            checkpoint_requested=row.checkpoint_requested_at is not None,
            error=RowError(code=row.error_code, message=row.error_message or "") if row.error_code else None,
            peak_gpu_bytes=row.peak_gpu_bytes,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )


class JobOverview(Read):
    """A page of a team's jobs."""

    items: list[JobRow]
    total_count: int = Field(description="Number of jobs that match `status` and `search`.")
    counts: dict[JobStatus, int] = Field(
        description="Number of all your team's jobs by status, regardless of the search."
    )
    next_offset: int | None = Field(description="Send it as `offset` for the next page; null at the end.")

    @classmethod
    def of(cls, part: Overview, *, offset: int) -> "JobOverview":
        end = offset + len(part.rows)
        return cls(
            items=[JobRow.of(row, part.places.get(row.id)) for row in part.rows],
            total_count=part.total_count,
            counts=part.counts,
            next_offset=end if part.rows and end < part.total_count else None,
        )
