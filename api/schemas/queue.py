"""Wire models of the queue and of teams."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.schemas.common import NAME_PATTERN, Read, WaitReasonRead
from jobs.priorities import PriorityClass
from jobs.queue.standings import TeamReport
from jobs.queue.view import QueuedJob, QueueEntry, QueueSlice

# What is further back is better left to the queue's own order.
MAX_POSITION = 1000
MAX_REASON_LENGTH = 200
MAX_WEIGHT = 1e6
MAX_COUNT = 1_000_000
MAX_SLOT_SECONDS = 1e12


class QueuedJobRead(Read):
    """A waiting job that you may know of."""

    id: str
    name: str
    team: str
    priority_class: PriorityClass
    priority: int
    is_pinned: bool = Field(description="Whether the operator gave it its place.")
    attempt: int = Field(description="Above 0 where it goes on after a run that was interrupted.")
    created_at: datetime
    expected_seconds: float | None = Field(description="How long it is expected to hold a slot.")

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
    """A place in the queue. Of other teams' jobs there is the position and nothing else."""

    position: int | None = Field(description="1 is claimed next; null while it has no turn.")
    job: QueuedJobRead | None
    reason: WaitReasonRead | None
    starts_at: datetime | None = Field(
        description="If all takes as long as expected; null where it has no turn, or no open slot fits."
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
    """The queue in the order of its claims; then what has no turn, held jobs last."""

    items: list[QueueEntryRead]
    total_count: int
    next_offset: int | None = Field(description="To be handed back as `offset`; null at the end.")

    @classmethod
    def of(cls, part: QueueSlice, *, offset: int) -> "QueueRead":
        end = offset + len(part.entries)
        return cls(
            items=[QueueEntryRead.of(entry) for entry in part.entries],
            total_count=part.total_count,
            next_offset=end if part.entries and end < part.total_count else None,
        )


class JobHold(BaseModel):
    """Why a job is held."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_LENGTH, pattern=NAME_PATTERN),
    ] = Field(description="Its team reads it.")


class JobMove(BaseModel):
    """Where a job shall stand."""

    model_config = ConfigDict(extra="forbid")

    position: int | None = Field(
        strict=True,
        ge=1,
        le=MAX_POSITION,
        description="1 is next. The jobs before it are pinned in their present order. Null: where the rule puts it.",
    )


class TeamRead(Read):
    """A team: its share, its quotas, and where it stands."""

    id: str
    name: str
    weight: float = Field(description="Its share, relative to the weights of the others.")
    share: float = Field(description="Of all teams' weights.")
    used_share: float = Field(description="Of what all teams have used lately.")
    usage_seconds: float = Field(
        description="Slot seconds, half as much for each half-life ago; running jobs count as long as is expected."
    )
    window_seconds: float = Field(description="Slot seconds within the window of the quota, not decayed.")
    running_count: int
    queued_count: int
    max_running: int | None = Field(description="Jobs that may run at a time; null is no bound, here and below.")
    max_queued: int | None = Field(description="Jobs that may wait.")
    max_slot_seconds: float | None = Field(description="Slot seconds within the window.")
    max_priority_class: PriorityClass

    @classmethod
    def of(cls, report: TeamReport) -> "TeamRead":
        team, standing = report.team, report.standing
        return cls(
            id=team.id,
            name=team.name,
            weight=team.weight,
            share=report.share,
            used_share=report.used_share,
            usage_seconds=round(standing.usage_seconds, 1),
            window_seconds=round(standing.window_seconds, 1),
            running_count=standing.running_count,
            queued_count=report.queued_count,
            max_running=team.max_running,
            max_queued=team.max_queued,
            max_slot_seconds=team.max_slot_seconds,
            max_priority_class=team.max_priority_class,
        )


class TeamChange(BaseModel):
    """What shall be different. A quota that is null is taken away; one that is left out stays."""

    model_config = ConfigDict(extra="forbid")

    weight: float = Field(1.0, gt=0, le=MAX_WEIGHT, allow_inf_nan=False)
    max_running: int | None = Field(None, strict=True, ge=0, le=MAX_COUNT)
    max_queued: int | None = Field(None, strict=True, ge=0, le=MAX_COUNT)
    max_slot_seconds: float | None = Field(None, ge=0, le=MAX_SLOT_SECONDS, allow_inf_nan=False)
    max_priority_class: PriorityClass = PriorityClass.NORMAL

    @model_validator(mode="after")
    def _has_changes(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        return self
