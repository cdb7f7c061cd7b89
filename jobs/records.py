"""Reading a job and what belongs to it: its runs, events and artifacts; and adding an event."""

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from jobs.database.pages import Page, read_page
from jobs.errors import ArtifactGone, ArtifactNotFound, JobNotFound
from jobs.models import Artifact, Event, Job, Run
from jobs.status import JobStatus

# Kinds of artifacts that have rules of their own.
BUNDLE_KIND = "bundle"
LOG_KIND = "log"


def get_job(session: Session, *, team_id: str, job_id: str) -> Job:
    """The team's job with this id. Raises JobNotFound, also for a job of another team."""
    job = session.scalar(select(Job).where(Job.team_id == team_id, Job.id == job_id))
    if job is None:
        raise JobNotFound
    return job


def list_jobs(session: Session, *, team_id: str, status: JobStatus | None, cursor: str | None, limit: int) -> Page[Job]:
    """A page of the team's jobs, newest first."""
    statement = select(Job).where(Job.team_id == team_id)
    if status is not None:
        statement = statement.where(Job.status == status)
    return read_page(session, statement, Job, cursor=cursor, limit=limit)


def add_event(session: Session, *, job_id: str, attempt: int, kind: str, message: str) -> None:
    """Add an event to a job. Call it after changing the job's row: its lock keeps the events' ids in commit order."""
    session.flush()
    session.add(Event(job_id=job_id, attempt=attempt, kind=kind, message=message))


def list_events(session: Session, *, job_id: str, after: int, limit: int) -> Sequence[Event]:
    """Events with an id above `after`, oldest first. The caller has found the job through its team."""
    statement = select(Event).where(Event.job_id == job_id, Event.id > after).order_by(Event.id).limit(limit)
    return session.scalars(statement).all()


def list_runs(session: Session, *, job_id: str) -> Sequence[Run]:
    """The runs of a job, oldest first. The caller has found the job through its team."""
    return session.scalars(select(Run).where(Run.job_id == job_id).order_by(Run.attempt)).all()


def list_artifacts(session: Session, *, job_id: str) -> Sequence[Artifact]:
    """The artifacts of a job that have not been deleted, by kind."""
    kept = (Artifact.job_id == job_id, Artifact.deleted_at.is_(None))
    return session.scalars(select(Artifact).where(*kept).order_by(Artifact.kind)).all()


def get_artifact(session: Session, *, job_id: str, kind: str) -> Artifact:
    """The artifact of a job with this kind. Raises ArtifactNotFound, and ArtifactGone when its file was deleted."""
    artifact = session.get(Artifact, (job_id, kind))
    if artifact is None:
        raise ArtifactNotFound
    if artifact.deleted_at is not None:
        raise ArtifactGone(
            f"The {kind} was deleted on {artifact.deleted_at:%Y-%m-%d}: this installation keeps such files "
            "for a limited time. `GET /jobs/{job_id}/events` has the reason. "
            "To get it again, the model has to be trained again."
        )
    return artifact


def check_logs(session: Session, *, job_id: str) -> None:
    """Check that the logs of a job's runs still exist; they are deleted together with its log artifact.

    Raises ArtifactGone.
    """
    with suppress(ArtifactNotFound):
        get_artifact(session, job_id=job_id, kind=LOG_KIND)
