"""The usage of a team by day, as shown to people: the seconds of its runs, split at midnight UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Run

_DAY = timedelta(days=1)


@dataclass
class DayUsage:
    """The usage on one day (UTC). A run across midnight counts on both days."""

    date: date
    slot_seconds: float = 0.0
    run_count: int = 0


def split_by_day(started_at: datetime, ended_at: datetime) -> dict[date, float]:
    """The seconds from start to end by the days, UTC, that they are on; the first day is there even with none.

    A clock that went back makes no time negative.
    """
    at, seconds = started_at.astimezone(UTC), {started_at.astimezone(UTC).date(): 0.0}
    while at < ended_at:
        midnight = begin_day(at.date() + _DAY)
        seconds[at.date()] = (min(midnight, ended_at) - at).total_seconds()
        at = midnight
    return seconds


def begin_day(day: date) -> datetime:
    """Midnight (UTC) at the start of the day of this time."""
    return datetime.combine(day, time.min, UTC)


def list_days(session: Session, *, team_id: str, day_count: int, now: datetime | None = None) -> list[DayUsage]:
    """The last days up to today, oldest first, including days without runs. Running jobs count up to now."""
    now = now or utc_now()
    first = now.date() - (day_count - 1) * _DAY
    since = begin_day(first)
    days = {day: DayUsage(day) for day in (first + number * _DAY for number in range(day_count))}
    runs = session.execute(
        select(Run.started_at, Run.ended_at, Run.slot_size).where(
            Run.team_id == team_id, Run.started_at <= now, or_(Run.ended_at.is_(None), Run.ended_at > since)
        )
    )
    for run in runs:
        for day, seconds in split_by_day(max(run.started_at, since), min(run.ended_at or now, now)).items():
            days[day].slot_seconds += seconds * run.slot_size
            days[day].run_count += 1
    return list(days.values())
