"""What the operator can do with the jobs of any team: hold, release, preempt and move them.

Only callers with an operator's key get here, and only here are jobs found without their team.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import lock_claims
from jobs.errors import JobNotFound, JobNotRunning, JobNotWaiting
from jobs.models import Job
from jobs.queue.board import draw_board
from jobs.queue.rules import QueueRules
from jobs.records import add_event
from jobs.runs import stops
from jobs.status import JobStatus


def get_any_job(session: Session, *, job_id: str) -> Job:
    """The job with this id, of any team. Raises JobNotFound."""
    job = session.get(Job, job_id)
    if job is None:
        raise JobNotFound("There is no job with this id.")
    return job


def hold_job(session: Session, *, job_id: str, reason: str, now: datetime | None = None) -> Job:
    """Keep a waiting job from being claimed until it is released. Holding it again changes the reason.

    Raises JobNotFound and JobNotWaiting.
    """
    job = _lock_waiting(session, job_id)
    job.held_at, job.hold_reason = job.held_at or now or utc_now(), reason
    _note(session, job, "held", f"The operator holds the job: {reason}")
    return job


def release_job(session: Session, *, job_id: str) -> Job:
    """Let a held job be claimed again. Raises JobNotFound and JobNotWaiting."""
    job = _lock_waiting(session, job_id)
    if job.held_at is not None:
        job.held_at = job.hold_reason = None
        _note(session, job, "released", "The operator has released the job.")
    return job


def preempt_job(session: Session, *, job_id: str) -> Job:
    """Have a running job save a checkpoint, give up its slot, and wait again.

    Nothing changes for a job that is stopping anyway. Raises JobNotFound and JobNotRunning.
    """
    job = get_any_job(session, job_id=job_id)
    if not stops.preempt(session, job_id=job_id, reason="The operator wants the slot") and job.stop_kind is None:
        raise JobNotRunning(f"the job is {job.status}, so it has no slot to give up.")
    return job


def move_job(
    session: Session, *, job_id: str, position: int | None, rules: QueueRules, now: datetime | None = None
) -> Job:
    """Move a waiting job to a position in the queue, counted from 1; None returns it to the queue's own order.

    The jobs before it are pinned in their present order, so that it keeps the position. Jobs that were pinned behind it
    stay pinned. Raises JobNotFound and JobNotWaiting.
    """
    lock_claims(session)
    job = _lock_waiting(session, job_id)
    if position is None:
        if job.pinned_rank is not None:
            job.pinned_rank = None
            _note(session, job, "moved", "The operator has returned the job to the queue's own order.")
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
    _note(session, job, "moved", f"The operator has moved the job to place {len(before) + 1} of the queue.")
    return job


def _lock_waiting(session: Session, job_id: str) -> Job:
    statement = select(Job).where(Job.id == job_id).with_for_update()
    job = session.scalar(statement.execution_options(populate_existing=True))
    if job is None:
        raise JobNotFound("There is no job with this id.")
    if job.status is not JobStatus.QUEUED:
        raise JobNotWaiting(f"the job is {job.status}; only a job that waits for a slot can be held or moved.")
    return job


def _note(session: Session, job: Job, kind: str, message: str) -> None:
    add_event(session, job_id=job.id, attempt=job.attempt, kind=kind, message=message)
