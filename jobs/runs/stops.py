"""The verbs that stop and resume a job: cancel, pause, resume, save a checkpoint now, preempt.

Stopping a running job is a request on its row: the worker sees it at the next heartbeat, the training process confirms
it, and the end of the run sets the requested status (jobs/runs/ends.py). Requesting it again changes nothing.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.errors import JobFinished, JobNotFound, JobNotRunning, JobStopping
from jobs.models import Job
from jobs.queue import usage
from jobs.records import add_event
from jobs.status import JobStatus, StopKind


def request_cancel(session: Session, *, team_id: str, job_id: str) -> Job:
    """Cancel a job: a waiting or paused one at once, a running one by asking it to stop.

    Raises JobNotFound, and JobFinished when it has succeeded or failed.
    """
    job = _lock_job(session, team_id, job_id)
    if job.status is JobStatus.CANCELLED:
        return job
    _refuse_finished(job, "cancelled")
    if job.status is JobStatus.RUNNING:
        _ask(session, job, StopKind.CANCEL, "cancel_requested", "The run is asked to stop.")
    else:
        message = "Cancelled while it waited." if job.status is JobStatus.QUEUED else "Cancelled while it was paused."
        now = utc_now()
        job.status, job.finished_at = JobStatus.CANCELLED, now
        usage.settle_advance(session, job_id=job.id, now=now)
        add_event(session, job_id=job.id, attempt=job.attempt, kind="cancelled", message=message)
    return job


def request_pause(session: Session, *, team_id: str, job_id: str) -> Job:
    """Pause a job: a waiting one at once, a running one by asking it to save a checkpoint and leave its slot.

    Either keeps its age, and so its place. Raises JobNotFound, JobFinished, and JobStopping while it is being
    cancelled.
    """
    job = _lock_job(session, team_id, job_id)
    if job.status is JobStatus.PAUSED:
        return job
    _refuse_finished(job, "paused")
    if job.stop_kind is StopKind.CANCEL:
        raise JobStopping
    if job.status is JobStatus.RUNNING:
        _ask(session, job, StopKind.PAUSE, "pause_requested", "The run is asked to save a checkpoint and to stop.")
    else:
        job.status = JobStatus.PAUSED
        add_event(session, job_id=job.id, attempt=job.attempt, kind="paused", message="Paused while it waited.")
    return job


def resume_job(session: Session, *, team_id: str, job_id: str) -> Job:
    """Resume a job: a paused one waits again, at the place that its age gives it; one about to pause will wait again.

    Raises JobNotFound, JobFinished, and JobStopping while it is being cancelled.
    """
    job = _lock_job(session, team_id, job_id)
    _refuse_finished(job, "resumed")
    if job.stop_kind is StopKind.CANCEL:
        raise JobStopping
    if job.status is JobStatus.PAUSED:
        job.status = JobStatus.QUEUED
        message = "Resumed: it waits for a slot"
        message += f" and continues from step {job.checkpoint_step}." if job.checkpoint_step else "."
        add_event(session, job_id=job.id, attempt=job.attempt, kind="resumed", message=message)
    elif job.stop_kind is StopKind.PAUSE:
        # Its process may have received the request and be stopping already; the job then waits instead of being paused.
        job.stop_kind = StopKind.PREEMPT
        message = "Resumed before it was paused: it leaves its slot and waits for a new one."
        add_event(session, job_id=job.id, attempt=job.attempt, kind="resumed", message=message)
    return job


def request_checkpoint(session: Session, *, team_id: str, job_id: str) -> Job:
    """Ask a running job to save a checkpoint after its present step.

    Raises JobNotFound, JobNotRunning, and JobStopping while it is being cancelled.
    """
    job = _lock_job(session, team_id, job_id)
    if job.status is not JobStatus.RUNNING:
        raise JobNotRunning(f"the job is {job.status}; only a running job can save a checkpoint.")
    if job.stop_kind is StopKind.CANCEL:
        raise JobStopping
    if job.checkpoint_requested_at is None:
        job.checkpoint_requested_at = utc_now()
        message = "The run was asked to save a checkpoint."
        add_event(session, job_id=job.id, attempt=job.attempt, kind="checkpoint_requested", message=message)
    return job


def preempt(session: Session, *, job_id: str, reason: str) -> bool:
    """Ask a running job to save a checkpoint and give up its slot; it then waits again.

    Returns False when it doesn't run or is stopping anyway. For the operator and the queue: it checks no team.
    """
    job = session.scalar(select(Job).where(Job.id == job_id, Job.status == JobStatus.RUNNING).with_for_update())
    if job is None or job.stop_kind is not None:
        return False
    _ask(
        session,
        job,
        StopKind.PREEMPT,
        "preempt_requested",
        f"{reason}: the run was asked to save a checkpoint and leave its slot.",
    )
    return True


def update_job(session: Session, *, team_id: str, job_id: str, name: str | None, priority: int | None) -> Job:
    """Change the name of a job, or its priority while it has not ended. Raises JobNotFound and JobFinished."""
    job = _lock_job(session, team_id, job_id)
    if priority is not None and priority != job.priority:
        _refuse_finished(job, "given another priority")
        message = f"Its priority is now {priority}; it was {job.priority}."
        job.priority = priority
        add_event(session, job_id=job.id, attempt=job.attempt, kind="priority", message=message)
    if name is not None and name != job.name:
        message = f"Its name is now {name}; it was {job.name}."
        job.name = name
        add_event(session, job_id=job.id, attempt=job.attempt, kind="renamed", message=message)
    return job


def _ask(session: Session, job: Job, kind: StopKind, event: str, message: str) -> None:
    """Ask a running job to stop, unless it was asked for the same or an overriding kind of stop."""
    if not kind.outranks(job.stop_kind):
        return
    job.stop_kind = kind
    job.stop_requested_at = job.stop_requested_at or utc_now()
    add_event(session, job_id=job.id, attempt=job.attempt, kind=event, message=message)


def _lock_job(session: Session, team_id: str, job_id: str) -> Job:
    statement = select(Job).where(Job.team_id == team_id, Job.id == job_id).with_for_update()
    job = session.scalar(statement.execution_options(populate_existing=True))
    if job is None:
        raise JobNotFound
    return job


def _refuse_finished(job: Job, what: str) -> None:
    if job.status.is_final:
        raise JobFinished(f"the job has already {_HAS_ENDED[job.status]}, so it can't be {what}.")


_HAS_ENDED = {
    JobStatus.SUCCEEDED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "been cancelled",
}
