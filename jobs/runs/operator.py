"""The operator's verbs: on any team's jobs, and on the teams' weights and quotas.

Only callers with an operator's key get here, and only here are jobs reached without their team.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import lock_claims
from jobs.errors import JobNotFound, JobNotRunning, JobNotWaiting, TeamNameTaken, TeamNotFound
from jobs.models import Job, Team
from jobs.queue import usage
from jobs.queue.board import draw_board
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Standing
from jobs.records import add_event
from jobs.runs import stops
from jobs.status import JobStatus

CHANGEABLE = ("weight", "max_running", "max_queued", "max_slot_seconds", "max_priority_class")


def get_any_job(session: Session, *, job_id: str) -> Job:
    """Of any team. Raises JobNotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise JobNotFound("There is no job with this id.")
    return job


def hold_job(session: Session, *, job_id: str, reason: str, now: datetime | None = None) -> Job:
    """Let no slot take a waiting job until it is released. Holding again changes the reason.

    Raises JobNotFound and JobNotWaiting.
    """
    job = _lock_waiting(session, job_id)
    job.held_at, job.hold_reason = job.held_at or now or utc_now(), reason
    _note(session, job, "held", f"The operator holds the job: {reason}")
    return job


def release_job(session: Session, *, job_id: str) -> Job:
    """Let a held job have its turn again. Raises JobNotFound and JobNotWaiting."""
    job = _lock_waiting(session, job_id)
    if job.held_at is not None:
        job.held_at = job.hold_reason = None
        _note(session, job, "released", "The operator lets the job have its turn again.")
    return job


def preempt_job(session: Session, *, job_id: str) -> Job:
    """Have a running job save a checkpoint, give its slot away, and wait again.

    Raises JobNotFound, and JobNotRunning when it doesn't run. One that is to stop anyway is left to that.
    """
    job = get_any_job(session, job_id=job_id)
    if not stops.preempt(session, job_id=job_id, reason="The operator wants the slot") and job.stop_kind is None:
        raise JobNotRunning(f"the job is {job.status}, so it has no slot to give.")
    return job


def move_job(
    session: Session, *, job_id: str, position: int | None, rules: QueueRules, now: datetime | None = None
) -> Job:
    """Give a waiting job that place in the queue; None gives it back to the queue's own order.

    The jobs before it are pinned in their present order, so that the place holds. Jobs that were pinned behind it stay
    so. Raises JobNotFound and JobNotWaiting.
    """
    lock_claims(session)
    job = _lock_waiting(session, job_id)
    if position is None:
        if job.pinned_rank is not None:
            job.pinned_rank = None
            _note(session, job, "moved", "The operator gives the job back to the queue's own order.")
        return job
    board = draw_board(session, rules=rules, now=now)
    others = [place.job.id for place in board.places if place.position is not None and place.job.id != job.id]
    pinned = session.scalars(
        select(Job.id)
        .where(Job.status == JobStatus.QUEUED, Job.pinned_rank.is_not(None), Job.id != job.id)
        .order_by(Job.pinned_rank, Job.id)
    ).all()
    before = others[: position - 1]
    order = [*before, job.id, *(each for each in pinned if each not in set(before))]
    ranks = {each: rank for rank, each in enumerate(order, start=1)}
    for each in session.scalars(select(Job).where(Job.id.in_(order)).with_for_update()):
        each.pinned_rank = ranks[each.id]
    _note(session, job, "moved", f"The operator moves the job to place {len(before) + 1} of the queue.")
    return job


@dataclass(frozen=True)
class TeamReport:
    """A team, and where it stands."""

    team: Team
    standing: Standing
    queued_count: int
    share: float
    """Of all teams' weights."""
    used_share: float
    """Of all teams' decayed usage."""


def list_teams(session: Session, *, rules: QueueRules, now: datetime | None = None) -> Sequence[TeamReport]:
    """All teams, by name."""
    standings = usage.load_standings(session, rules=rules, now=now or utc_now(), with_windows=True)
    queued = session.execute(
        select(Job.team_id, func.count().label("queued_count"))
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.team_id)
    )
    counts = {row.team_id: row.queued_count for row in queued}
    teams = session.scalars(select(Team).order_by(Team.name)).all()
    weights = sum(team.weight for team in teams)
    used_seconds = sum(standing.usage_seconds for standing in standings.values())
    return [
        TeamReport(
            team=team,
            standing=standings[team.id],
            queued_count=counts.get(team.id, 0),
            share=team.weight / weights,
            used_share=standings[team.id].usage_seconds / used_seconds if used_seconds else 0.0,
        )
        for team in teams
    ]


def create_team(session: Session, *, name: str) -> Team:
    """Raises TeamNameTaken."""
    team = Team(name=name)
    try:
        with session.begin_nested():
            session.add(team)
    except IntegrityError as error:
        raise TeamNameTaken(f"There is a team {name!r} already.", field="name") from error
    return team


def get_any_team(session: Session, *, name: str) -> Team:
    """By name or id. Raises TeamNotFound."""
    statement = select(Team).where(or_(Team.name == name, Team.id == name))
    # A name may look like another team's id: the id counts.
    teams = sorted(session.scalars(statement), key=lambda team: team.id != name)
    if not teams:
        raise TeamNotFound("There is no team with this name or id. `GET /teams` lists them.")
    return teams[0]


def change_team(session: Session, *, name: str, changes: Mapping[str, Any]) -> Team:
    """Set weight and quotas of the team with this name or id; None takes a quota away. Raises TeamNotFound."""
    team = usage.lock_team(session, team_id=get_any_team(session, name=name).id)
    for field in CHANGEABLE:
        if field in changes:
            setattr(team, field, changes[field])
    session.flush()
    return team


def _lock_waiting(session: Session, job_id: str) -> Job:
    statement = select(Job).where(Job.id == job_id).with_for_update()
    job = session.scalar(statement.execution_options(populate_existing=True))
    if job is None:
        raise JobNotFound("There is no job with this id.")
    if job.status is not JobStatus.QUEUED:
        raise JobNotWaiting(f"the job is {job.status}: only one that waits for a slot can be held or moved.")
    return job


def _note(session: Session, job: Job, kind: str, message: str) -> None:
    add_event(session, job_id=job.id, attempt=job.attempt, kind=kind, message=message)
