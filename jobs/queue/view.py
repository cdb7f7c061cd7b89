"""The queue as shown to people: a team sees its own jobs and the places of others; the operator sees all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.models import Job, Team
from jobs.queue.board import Board, HeldJob
from jobs.queue.forecast import Place
from jobs.queue.reasons import WaitReason, explain
from jobs.queue.rules import QueueRules


@dataclass(frozen=True)
class QueuedJob:
    """A waiting job as shown to those who may see it."""

    job: Job
    team_name: str
    reason: WaitReason
    starts_at: datetime | None
    """None where it has no turn, or fits no open slot."""


@dataclass(frozen=True)
class QueueEntry:
    """One place in the queue."""

    position: int | None
    """None when the job has no turn."""
    shown: QueuedJob | None
    """None for jobs of other teams."""


@dataclass(frozen=True)
class QueueSlice:
    """A slice of the entries, in the order of the claims, and the total number."""

    entries: Sequence[QueueEntry]
    total_count: int


def show_queue(
    session: Session, board: Board, *, rules: QueueRules, team_id: str, is_operator: bool, offset: int, limit: int
) -> QueueSlice:
    """A slice of the queue that starts at `offset`. Held jobs come last."""
    everything: list[Place | HeldJob] = [*board.places, *board.held]
    chosen = everything[offset : offset + limit]
    visible = [each for each in chosen if is_operator or _get_team_id(each) == team_id]
    rows = _load_rows(session, [_get_id(each) for each in visible])
    shown = {}
    for each in visible:
        # A job that was claimed since the board was drawn keeps its place until the next board.
        job, team_name = rows[_get_id(each)]
        reason = explain(board, each, rules=rules, is_own=job.team_id == team_id)
        shown[job.id] = QueuedJob(job, team_name, reason, _get_start(board, each))
    entries = [QueueEntry(_get_position(each), shown.get(_get_id(each))) for each in chosen]
    return QueueSlice(entries, len(everything))


def show_job(session: Session, board: Board, job: Job, *, rules: QueueRules, team_id: str) -> QueueEntry:
    """The entry of a waiting job that the caller may see."""
    place = board.by_id[job.id]
    team_name = session.get_one(Team, job.team_id).name
    reason = explain(board, place, rules=rules, is_own=job.team_id == team_id)
    return QueueEntry(_get_position(place), QueuedJob(job, team_name, reason, _get_start(board, place)))


def _load_rows(session: Session, job_ids: Sequence[str]) -> dict[str, tuple[Job, str]]:
    statement = select(Job, Team.name).join(Team, Team.id == Job.team_id).where(Job.id.in_(job_ids))
    return {job.id: (job, name) for job, name in session.execute(statement)}


def _get_id(place: Place | HeldJob) -> str:
    return place.id if isinstance(place, HeldJob) else place.job.id


def _get_team_id(place: Place | HeldJob) -> str:
    return place.team_id if isinstance(place, HeldJob) else place.job.team_id


def _get_position(place: Place | HeldJob) -> int | None:
    return None if isinstance(place, HeldJob) else place.position


def _get_start(board: Board, place: Place | HeldJob) -> datetime | None:
    if isinstance(place, HeldJob) or place.starts_in is None:
        return None
    return board.at + timedelta(seconds=round(place.starts_in))
