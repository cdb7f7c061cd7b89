"""Ending runs whose worker is gone: those with an expired lease, and those from before a reboot of the machine."""

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import lock_claims
from jobs.models import Job, Run
from jobs.runs.ends import RunEnd, crash, interrupt
from jobs.status import JobStatus

# The code of a run whose worker sent no heartbeat.
WORKER_LOST = "worker_lost"

# Called before a run is ended because of its dead worker, within the same transaction.
OnLost = Callable[[Session, Job], None]


def _leave(_session: Session, _job: Job) -> None:
    """The OnLost that does nothing."""


def reap(session: Session, *, max_crashes: int, on_lost: OnLost = _leave) -> list[str]:
    """End all runs whose lease has expired; returns the ids of their jobs."""
    lock_claims(session)
    statement = select(Job).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < utc_now())
    # The lock makes the database check rows again that a late heartbeat or a cancel is just changing.
    lost = session.scalars(statement.with_for_update()).all()
    end = RunEnd(code=WORKER_LOST, message="The worker sent no heartbeat and is considered dead.")
    for job in lost:
        on_lost(session, job)
        crash(session, job_id=job.id, attempt=job.attempt, end=end, max_crashes=max_crashes)
    return [job.id for job in lost]


def reap_earlier_boot(session: Session, *, slot: str, boot_id: str, on_lost: OnLost = _leave) -> str | None:
    """Requeue the job that ran on this slot before its machine was restarted; returns its id.

    A reboot does not count as a crash. The caller is the slot's own worker.
    """
    lock_claims(session)
    statement = (
        select(Job)
        .join(Run, (Run.job_id == Job.id) & (Run.attempt == Job.attempt))
        .where(Job.slot == slot, Job.status == JobStatus.RUNNING, Run.boot_id != boot_id)
    )
    job = session.scalar(statement.with_for_update())
    if job is None:
        return None
    on_lost(session, job)
    end = RunEnd(code="machine_restarted", message="The machine was restarted.")
    interrupt(session, job_id=job.id, attempt=job.attempt, end=end, message="Its machine was restarted")
    return job.id
