"""Wire models of the queue."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.base import NAME_PATTERN, Read
from jobs.priorities import PriorityClass
from jobs.queue.reasons import WaitCode, WaitReason
from jobs.queue.view import QueuedJob, QueueEntry, QueueSlice

# Places further back are left to the queue's own order.
MAX_POSITION = 1000
MAX_REASON_LENGTH = 200


class WaitReasonRead(Read):
    """The reason why a job waits."""

    code: WaitCode = Field(description="Stable code for programs.")
    message: str = Field(description="Text for people.")

    @classmethod
    def of(cls, reason: WaitReason) -> "WaitReasonRead":
        return cls(code=reason.code, message=reason.message)


class QueuedJobRead(Read):
    """A waiting job that the caller may see."""

    id: str
    name: str
    team: str
    priority_class: PriorityClass
    priority: int
    is_pinned: bool = Field(description="Whether an operator moved it to its place.")
    attempt: int = Field(
        description="Number of earlier attempts; above 0 when it continues after one that did not finish it."
    )
    created_at: datetime
    expected_seconds: float | None = Field(description="How long it is expected to occupy a slot.")

    @classmethod
    def of(cls, shown: QueuedJob) -> "QueuedJobRead":
        job = shown.job
        return cls(
            id=job.id,
            name=job.name,
            team=shown.team_name,
            priority_class=job.priority_class,
            priority=job.priority,
            is_pinned=job.pinned_rank is not None,
            attempt=job.attempt,
            created_at=job.created_at,
            expected_seconds=job.expected_seconds,
        )


class QueueEntryRead(Read):
    """A place in the queue. For other teams' jobs only the position is shown."""

    position: int | None = Field(description="1 starts next; null while the job is not eligible to start.")
    job: QueuedJobRead | None
    reason: WaitReasonRead | None
    starts_at: datetime | None = Field(
        description="The expected start; null where the job is not eligible to start, or no open slot can run it."
    )

    @classmethod
    def of(cls, entry: QueueEntry) -> "QueueEntryRead":
        shown = entry.shown
        if shown is None:
            return cls(position=entry.position, job=None, reason=None, starts_at=None)
        return cls(
            position=entry.position,
            job=QueuedJobRead.of(shown),
            reason=WaitReasonRead.of(shown.reason),
            starts_at=shown.starts_at,
        )


class QueueRead(Read):
    """The queue in the order in which jobs start; then the jobs that are not eligible to start, held jobs last."""

    items: list[QueueEntryRead]
    total_count: int
    next_offset: int | None = Field(description="Send it as `offset` for the next page; null at the end.")

    @classmethod
    def of(cls, part: QueueSlice, *, offset: int) -> "QueueRead":
        end = offset + len(part.entries)
        return cls(
            items=[QueueEntryRead.of(entry) for entry in part.entries],
            total_count=part.total_count,
            next_offset=end if part.entries and end < part.total_count else None,
        )


class JobHold(BaseModel):
    """The reason why a job is held."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_LENGTH, pattern=NAME_PATTERN),
    ] = Field(description="It is shown to the job's team.")


class JobMove(BaseModel):
    """The place in the queue that a job is moved to."""

    model_config = ConfigDict(extra="forbid")

    position: int | None = Field(
        strict=True,
        ge=1,
        le=MAX_POSITION,
        description="1 is next. The jobs before it are pinned in their current order. Null: its place by the rules.",
    )
