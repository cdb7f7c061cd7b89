"""Wire models of teams: their shares and quotas, changes of them, and their usage."""

import datetime as dt
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from api.schemas.base import NAME_PATTERN, Read
from jobs.priorities import PriorityClass
from jobs.queue.shares import Standing
from jobs.queue.standings import TeamReport
from jobs.queue.usage_days import DayUsage

MAX_NAME_LENGTH = 100
MAX_WEIGHT = 1e6
MAX_COUNT = 1_000_000
MAX_SLOT_SECONDS = 1e12

TeamName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
# For names of new things: names that look equal should be equal.
ShortName = Annotated[TeamName, StringConstraints(strip_whitespace=True)]


class TeamCreate(BaseModel):
    """A team to create."""

    model_config = ConfigDict(extra="forbid")

    name: ShortName


class TeamRead(Read):
    """A team with its share, its quotas and its current usage."""

    id: str
    name: str
    weight: float = Field(description="Its share, relative to the weights of the others.")
    share: float = Field(description="Its part of the weights of all teams, from 0 to 1.")
    used_share: float = Field(description="Its part of the recent usage of all teams, from 0 to 1.")
    usage_seconds: float = Field(
        description="Slot seconds, halved for each half-life passed; running jobs count with their expected time."
    )
    window_seconds: float = Field(description="Slot seconds within the window of the quota, not decayed.")
    running_count: int
    queued_count: int
    max_running: int | None = Field(description="Maximum number of running jobs; null means no limit, here and below.")
    max_queued: int | None = Field(description="Maximum number of waiting jobs.")
    max_slot_seconds: float | None = Field(description="Maximum slot seconds within the window of the quota.")
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
    """The changes to a team. A quota that is null is removed; a field that is left out stays."""

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


class DayUsageRead(Read):
    """What a team used on one day, UTC."""

    date: dt.date
    slot_seconds: float = Field(description="Seconds of its runs, times the size of their slots.")
    run_count: int = Field(description="Runs that ran on this day; a run over midnight counts on both days.")

    @classmethod
    def of(cls, day: DayUsage) -> "DayUsageRead":
        return cls(date=day.date, slot_seconds=round(day.slot_seconds, 1), run_count=day.run_count)


class UsageRead(Read):
    """What a team has used, by day, and what counts for its quota."""

    days: list[DayUsageRead] = Field(description="One for each day, oldest first; the last is today, up to now.")
    window_seconds: float = Field(description="Length of the quota's window.")
    window_slot_seconds: float = Field(
        description="Slot seconds within the window; running jobs count with their expected time."
    )
    max_slot_seconds: float | None = Field(description="The quota; null means no limit.")

    @classmethod
    def of(cls, days: list[DayUsage], standing: Standing, *, window_seconds: float) -> "UsageRead":
        return cls(
            days=[DayUsageRead.of(day) for day in days],
            window_seconds=window_seconds,
            window_slot_seconds=round(standing.window_seconds, 1),
            max_slot_seconds=standing.max_slot_seconds,
        )
