"""Wire models of what is done to teams, and of what they have used."""

import datetime as dt
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.schemas.common import NAME_PATTERN, Read
from jobs.queue.shares import Standing
from jobs.queue.usage_days import DayUsage

MAX_NAME_LENGTH = 100

TeamName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN)]
# Of what is made: names that look alike should be alike.
ShortName = Annotated[TeamName, StringConstraints(strip_whitespace=True)]


class TeamCreate(BaseModel):
    """A team to be made."""

    model_config = ConfigDict(extra="forbid")

    name: ShortName


class DayUsageRead(Read):
    """What a team used on one day, UTC."""

    date: dt.date
    slot_seconds: float = Field(description="Seconds of its runs, times the size of their slots.")
    run_count: int = Field(description="Runs that ran on this day; one over midnight counts on both.")

    @classmethod
    def of(cls, day: DayUsage) -> "DayUsageRead":
        return cls(date=day.date, slot_seconds=round(day.slot_seconds, 1), run_count=day.run_count)


class UsageRead(Read):
    """What a team has used, by day, and what counts for its quota."""

    days: list[DayUsageRead] = Field(description="One for each day, oldest first; the last is today, up to now.")
    window_seconds: float = Field(description="How long the window of the quota is.")
    window_slot_seconds: float = Field(
        description="Slot seconds within the window; running jobs count as long as is expected."
    )
    max_slot_seconds: float | None = Field(description="The quota; null is no bound.")

    @classmethod
    def of(cls, days: list[DayUsage], standing: Standing, *, window_seconds: float) -> "UsageRead":
        return cls(
            days=[DayUsageRead.of(day) for day in days],
            window_seconds=window_seconds,
            window_slot_seconds=round(standing.window_seconds, 1),
            max_slot_seconds=standing.max_slot_seconds,
        )
