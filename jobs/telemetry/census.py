"""The census: jobs, runs, teams and slots of an installation as numbers at one moment, for monitoring.

What is counted over all time only ever grows: neither jobs, runs nor teams are deleted.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import Job, Run, Team
from jobs.runs.failure_codes import CODES
from jobs.runs.slots import SlotView, list_slots
from jobs.settings import DAY_SECONDS
from jobs.status import JobStatus

# How many teams are reported one by one, far more than one queue serves. Teams keep their order, so that the sum over
# the youngest ones, like each team's own numbers, never decreases.
MAX_TEAMS = 500
MAX_SLOTS = 500
OTHERS = "(others)"

# A slot that was not seen for this long was taken down, and is no longer reported.
SLOT_KEPT_SECONDS = 7 * DAY_SECONDS

# Keeps the seconds counted for a run while it runs below those counted at its end by another host's clock. The clocks
# agree to within a few seconds (docs/operations.md), and a counter that decreases is taken for one that was reset.
CLOCK_MARGIN_SECONDS = 5.0

# A census is reused for so long that taking new ones uses at most a twentieth of one core, however often it is read.
COST_FACTOR = 20


@dataclass
class TeamCount:
    """The numbers of one team, or of all teams beyond MAX_TEAMS."""

    name: str
    jobs: Counter[JobStatus] = field(default_factory=Counter)
    waiting_count: int = 0
    held_count: int = 0
    oldest_wait_seconds: float = 0.0
    """Age of the oldest job that waits and is not held, since it was posted; 0 where there is none."""
    slot_seconds: float = 0.0
    """Seconds of all its runs so far, each times the size of its slot."""


@dataclass(frozen=True)
class Census:
    """The numbers of an installation at the moment `at`."""

    at: datetime
    teams: Sequence[TeamCount]
    failed_jobs: Mapping[str, int]
    """Failed jobs by each known code, and OTHERS."""
    failed_runs: Mapping[str, int]
    """Failed runs by each known code, and OTHERS; the job may have been resumed afterwards."""
    slots: Sequence[SlotView]
    stale_run_count: int
    """Runs with an expired lease, which a sweep should have ended."""


class CensusKeeper:
    """Caches the newest census of a process for a moment: with very many jobs, taking one needs almost a second."""

    def __init__(self, database: Database, *, seen_within_seconds: float) -> None:
        self._database = database
        self._seen_within_seconds = seen_within_seconds
        self._taking = threading.Lock()
        self._census: Census | None = None
        self._fresh_until = 0.0

    def get_census(self) -> Census:
        """Return the newest counts. Raises sqlalchemy.exc.SQLAlchemyError."""
        with self._taking:
            if self._census is None or time.monotonic() >= self._fresh_until:
                began = time.monotonic()
                with self._database.read_moment() as session:
                    self._census = take_census(session, seen_within_seconds=self._seen_within_seconds)
                ended = time.monotonic()
                self._fresh_until = ended + COST_FACTOR * (ended - began)
            return self._census


def take_census(session: Session, *, seen_within_seconds: float, now: datetime | None = None) -> Census:
    """Count everything. Only a session of Database.read_moment counts runs that end meanwhile exactly once."""
    now = now or utc_now()
    teams = _list_teams(session)
    _count_jobs(session, teams, now)
    failed_runs = _count_runs(session, teams, now)
    expired = select(func.count()).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < now)
    return Census(
        at=now,
        teams=list({id(team): team for team in teams.values()}.values()),
        failed_jobs=_count_failed_jobs(session),
        failed_runs=failed_runs,
        slots=_list_slots(session, seen_within_seconds, now),
        stale_run_count=session.scalar(expired) or 0,
    )


def _list_teams(session: Session) -> dict[str, TeamCount]:
    """Counts by the team's id; the youngest teams beyond MAX_TEAMS share one."""
    rows = session.execute(select(Team.id, Team.name).order_by(Team.id)).all()
    teams = {row.id: TeamCount(row.name) for row in rows[:MAX_TEAMS]}
    others = TeamCount(OTHERS)
    return teams | {row.id: others for row in rows[MAX_TEAMS:]}


def _count_jobs(session: Session, teams: Mapping[str, TeamCount], now: datetime) -> None:
    by_status = select(Job.team_id, Job.status, func.count()).group_by(Job.team_id, Job.status)
    for team_id, status, count in session.execute(by_status):
        teams[team_id].jobs[status] += count
    is_held = Job.held_at.is_not(None)
    queued = (
        select(Job.team_id, is_held, func.count(), func.min(Job.created_at))
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.team_id, is_held)
    )
    for team_id, held, count, oldest_at in session.execute(queued):
        team = teams[team_id]
        if held:
            team.held_count += count
        else:
            team.waiting_count += count
            team.oldest_wait_seconds = max(team.oldest_wait_seconds, (now - oldest_at).total_seconds())


def _count_runs(session: Session, teams: Mapping[str, TeamCount], now: datetime) -> dict[str, int]:
    """Adds up each team's slot seconds; returns how many runs ended with which code."""
    codes = _make_codes()
    ended = (
        select(Run.team_id, Run.error_code, func.count(), func.sum(Run.slot_seconds))
        .where(Run.ended_at.is_not(None))
        .group_by(Run.team_id, Run.error_code)
    )
    for team_id, code, count, seconds in session.execute(ended):
        teams[team_id].slot_seconds += seconds or 0.0
        if code is not None:
            codes[code if code in codes else OTHERS] += count
    running = (
        select(Run.team_id, Run.started_at, Run.slot_size)
        .join(Job, (Job.id == Run.job_id) & (Job.attempt == Run.attempt))
        .where(Job.status == JobStatus.RUNNING)
    )
    for team_id, started_at, size in session.execute(running):
        elapsed = (now - started_at).total_seconds() - CLOCK_MARGIN_SECONDS
        teams[team_id].slot_seconds += max(elapsed, 0.0) * size
    return codes


def _count_failed_jobs(session: Session) -> dict[str, int]:
    codes = _make_codes()
    statement = select(Job.error_code, func.count()).where(Job.status == JobStatus.FAILED).group_by(Job.error_code)
    for code, count in session.execute(statement):
        codes[code if code in codes else OTHERS] += count
    return codes


def _make_codes() -> dict[str, int]:
    """A zero for each code, so that the first failure of a kind shows as an increase."""
    return dict.fromkeys([*sorted(CODES), OTHERS], 0)


def _list_slots(session: Session, seen_within_seconds: float, now: datetime) -> list[SlotView]:
    """The slots that are present or disappeared recently, by name."""
    since = now - timedelta(seconds=SLOT_KEPT_SECONDS)
    views = [
        view for view in list_slots(session, seen_within_seconds=seen_within_seconds) if view.slot.seen_at >= since
    ]
    newest = sorted(views, key=lambda view: view.slot.seen_at, reverse=True)[:MAX_SLOTS]
    return sorted(newest, key=lambda view: view.slot.name)
