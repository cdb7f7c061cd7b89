"""Usage by day: nothing is lost or counted twice at midnight."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.database.engine import Database
from jobs.models import Run
from jobs.queue.usage_days import DayUsage, list_days, split_by_day
from tests.support.queues import add_team, add_waiting, begin_run, end_run

DAY_SECONDS = 24 * 3600.0
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(
    age=st.timedeltas(timedelta(days=-400), timedelta(days=4000)),
    zone=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    duration=st.timedeltas(timedelta(0), timedelta(days=40)),
)
def test_the_days_of_a_run_add_up_to_it(age: timedelta, zone: timezone, duration: timedelta) -> None:
    started_at = (NOW - age).astimezone(zone)
    ended_at = started_at + duration
    split = split_by_day(started_at, ended_at)
    assert sum(split.values()) == pytest.approx(duration.total_seconds())
    days = list(split)
    assert days == [days[0] + timedelta(days=number) for number in range(len(days))]
    assert days[0] == started_at.astimezone(UTC).date()
    assert all(seconds == DAY_SECONDS for seconds in list(split.values())[1:-1])
    assert all(0 <= seconds <= DAY_SECONDS for seconds in split.values())
    assert all(seconds > 0 for seconds in list(split.values())[1:]), "a run that ends at midnight isn't on the next day"


def test_a_clock_that_went_back_makes_no_time() -> None:
    assert split_by_day(NOW, NOW - HOUR) == {NOW.date(): 0.0}


def test_each_day_has_an_entry_and_runs_count_by_their_slots_size(database: Database) -> None:
    with database.write() as session:
        team, other = add_team(session, "reds"), add_team(session, "blues")
        for owner, began, ended, size in (
            # In this order: a run over midnight; one from before the first day into it; one that still runs; one of
            # another team; one that ended long ago.
            (team, NOW - 13 * HOUR, NOW - 11 * HOUR, 2.0),
            (team, NOW - 72 * HOUR, NOW - 59 * HOUR, 1.0),
            (team, NOW - HOUR, None, 1.0),
            (other, NOW - HOUR, None, 1.0),
            (team, NOW - 100 * HOUR, NOW - 99 * HOUR, 1.0),
        ):
            job = add_waiting(session, owner.id)
            begin_run(session, job, f"slot-{job.id[-2:]}", began, size=size)
            if ended is not None:
                end_run(session, job, ended)
        assert list_days(session, team_id=team.id, day_count=3, now=NOW) == [
            DayUsage(date(2026, 11, 24), 3600.0, 1),
            DayUsage(date(2026, 11, 25), 2 * 3600.0, 1),
            DayUsage(date(2026, 11, 26), 2 * 3600.0 + 3600.0, 2),
        ]
        assert list_days(session, team_id=team.id, day_count=1, now=NOW)[0].run_count == 2
        charged = sum(run.slot_seconds or 0.0 for run in session.query(Run).filter_by(team_id=team.id))
        whole = list_days(session, team_id=team.id, day_count=10, now=NOW)
        assert sum(day.slot_seconds for day in whole) == pytest.approx(charged + 3600.0)
