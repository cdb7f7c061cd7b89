"""The verbs that end a run: succeed, fail, crash, confirm a stop, requeue. jobs/runs/reaping.py ends abandoned ones.

Each write is conditional on the attempt. The verbs return the new status of the job.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, func, select, update
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Artifact, Job, Run
from jobs.queue import usage
from jobs.records import add_event
from jobs.runs.claims import update_owned
from jobs.status import FINAL_STATUSES, JobStatus, RunCause, StopKind, can_move

# Columns of a job that have a value only while it runs.
_RUN_ONLY = (
    "slot",
    "lease_expires_at",
    "stop_kind",
    "stop_requested_at",
    "checkpoint_requested_at",
    "phase",
    "eta_seconds",
    "tokens_per_second",
)


@dataclass(frozen=True)
class RunEnd:
    """How a run's process ended, as recorded on the rows of run and job."""

    exit_code: int | None = None
    # A code of docs/errors.md, and a sentence with what to change; both None for a run without an error.
    code: str | None = None
    message: str | None = None
    log: Sequence[str] = ()
    peak_gpu_bytes: int | None = None
    peak_host_bytes: int | None = None


def succeed(
    session: Session,
    *,
    job_id: str,
    attempt: int,
    end: RunEnd,
    artifacts: Sequence[Artifact],
    message: str,
    result: Mapping[str, Any],
) -> JobStatus:
    """Running -> succeeded, with the artifacts and the result of the run. Raises RunFenced."""
    values = {"result": dict(result)} | _get_last_step(result)
    _end(session, job_id, attempt, JobStatus.SUCCEEDED, message, end=end, **values)
    session.add_all(artifacts)
    return JobStatus.SUCCEEDED


def fail(session: Session, *, job_id: str, attempt: int, end: RunEnd, artifacts: Sequence[Artifact] = ()) -> JobStatus:
    """Running -> failed, with the reason. Raises RunFenced."""
    _fail(session, job_id, attempt, end, end.message or "")
    session.add_all(artifacts)
    return JobStatus.FAILED


def confirm_cancel(
    session: Session, *, job_id: str, attempt: int, end: RunEnd, artifacts: Sequence[Artifact] = ()
) -> JobStatus:
    """Running -> cancelled: the process has ended. Raises RunFenced."""
    _end(session, job_id, attempt, JobStatus.CANCELLED, "The run has stopped.", end=end)
    session.add_all(artifacts)
    return JobStatus.CANCELLED


def interrupt(
    session: Session, *, job_id: str, attempt: int, end: RunEnd, message: str, ended_at: datetime | None = None
) -> JobStatus:
    """Running -> queued: the slot was needed, or the worker shuts down. Raises RunFenced.

    If the team has requested a stop meanwhile, the job becomes paused or cancelled instead. There is no limit on how
    often a job may be interrupted. `ended_at` is for a run that ended long ago; the default is now.
    """
    event = f"{message}; the job is queued again."
    return _release(session, job_id, attempt, end, event, cause=RunCause.INTERRUPTION, ended_at=ended_at)


def retry_smaller(session: Session, *, job_id: str, attempt: int, end: RunEnd, message: str) -> JobStatus:
    """Running -> queued, to start again with batches of half the size; or the status that the team has requested.

    Raises RunFenced.
    """
    smaller: dict[str, Any] = {"batch_split": Job.batch_split * 2}
    return _release(session, job_id, attempt, end, message, cause=RunCause.SMALLER_BATCH, **smaller)


def crash(
    session: Session,
    *,
    job_id: str,
    attempt: int,
    end: RunEnd,
    max_crashes: int,
    artifacts: Sequence[Artifact] = (),
) -> JobStatus:
    """Running -> queued for another try; or failed, after too many crashes; or the status that the team has requested.

    The `artifacts` are stored only if the job has ended. Raises RunFenced.
    """
    job = _lock(session, job_id)
    if job is None or job.stop_kind in (StopKind.CANCEL, StopKind.PAUSE):
        status = _release(session, job_id, attempt, end, end.message or "", cause=RunCause.CRASH)
    else:
        count = 1 + _count_crashes(session, job_id)
        if count >= max_crashes:
            event = f"{end.message} This was crash {count} of {max_crashes}."
            _fail(session, job_id, attempt, end, event)
            status = JobStatus.FAILED
        else:
            event = f"{end.message} This was crash {count} of {max_crashes}; the job is queued again."
            status = _release(session, job_id, attempt, end, event, cause=RunCause.CRASH)
    if status.is_final:
        session.add_all(artifacts)
    return status


def find_ended_ids(session: Session, job_ids: Collection[str]) -> set[str]:
    """Those of the given jobs, of any team, that have ended: for a machine that clears its own folder."""
    return set(session.scalars(select(Job.id).where(Job.id.in_(job_ids), Job.status.in_(FINAL_STATUSES))))


def list_ended_runs(session: Session, *, within: timedelta) -> list[tuple[str, int]]:
    """(job id, attempt) of the runs that ended within this time and whose job has ended too."""
    statement = (
        select(Run.job_id, Run.attempt)
        .join(Job, Job.id == Run.job_id)
        .where(Run.ended_at >= utc_now() - within, Job.status.in_(FINAL_STATUSES))
    )
    return [(job_id, attempt) for job_id, attempt in session.execute(statement)]


def get_run_seconds(session: Session, *, job_id: str) -> float:
    """Total seconds of the ended runs of a job."""
    rows = session.execute(select(Run.started_at, Run.ended_at).where(Run.job_id == job_id, Run.ended_at.is_not(None)))
    return sum((ended_at - started_at).total_seconds() for started_at, ended_at in rows if ended_at is not None)


def _release(
    session: Session,
    job_id: str,
    attempt: int,
    end: RunEnd,
    message: str,
    *,
    cause: RunCause,
    ended_at: datetime | None = None,
    **values: Any,
) -> JobStatus:
    """End the run with the job queued, or with the status that the team has requested."""
    job = _lock(session, job_id)
    stop = job.stop_kind if job is not None else None
    if stop is StopKind.CANCEL:
        event = f"{end.message} The job was about to be cancelled." if end.code else "The run has stopped."
        _end(session, job_id, attempt, JobStatus.CANCELLED, event, end=end, ended_at=ended_at)
        return JobStatus.CANCELLED
    if stop is StopKind.PAUSE:
        event = (
            f"{end.message} The job was about to be paused." if end.code else "The run has stopped; the job is paused."
        )
        _end(session, job_id, attempt, JobStatus.PAUSED, event, end=end, cause=cause, ended_at=ended_at, **values)
        return JobStatus.PAUSED
    _end(session, job_id, attempt, JobStatus.QUEUED, message, end=end, cause=cause, ended_at=ended_at, **values)
    return JobStatus.QUEUED


def _fail(session: Session, job_id: str, attempt: int, end: RunEnd, message: str) -> None:
    _end(
        session,
        job_id,
        attempt,
        JobStatus.FAILED,
        message,
        end=end,
        error_code=end.code,
        error_message=message,
        error_log=list(end.log),
    )


def _lock(session: Session, job_id: str) -> Job | None:
    """Lock the job and read it again, after waiting for a stop that is just being requested."""
    statement = select(Job).where(Job.id == job_id).with_for_update()
    return session.scalar(statement.execution_options(populate_existing=True))


def _count_crashes(session: Session, job_id: str) -> int:
    statement = select(func.count()).select_from(Run).where(Run.job_id == job_id, Run.cause == RunCause.CRASH)
    return session.scalar(statement) or 0


def _end(
    session: Session,
    job_id: str,
    attempt: int,
    status: JobStatus,
    message: str,
    *,
    end: RunEnd,
    cause: RunCause | None = None,
    ended_at: datetime | None = None,
    **values: Any,
) -> None:
    """Leave `running`: the job's row, the run's row and the event, all conditional on the attempt."""
    assert can_move(JobStatus.RUNNING, status)
    now = ended_at or utc_now()
    values = dict.fromkeys(_RUN_ONLY) | values | _get_peaks(end)
    if status.is_final:
        values["finished_at"] = now
    update_owned(session, job_id, attempt, status=status, **values)
    _close_run(session, job_id, attempt, status, cause=cause, end=end, ended_at=now)
    usage.charge_run(session, job_id=job_id, attempt=attempt, now=now)
    kind = "requeued" if status is JobStatus.QUEUED else status.value
    add_event(session, job_id=job_id, attempt=attempt, kind=kind, message=message)


def _close_run(
    session: Session,
    job_id: str,
    attempt: int,
    status: JobStatus,
    *,
    cause: RunCause | None,
    end: RunEnd,
    ended_at: datetime,
) -> None:
    session.execute(
        update(Run)
        .where(Run.job_id == job_id, Run.attempt == attempt)
        .values(
            ended_at=ended_at,
            outcome=status.value,
            cause=cause,
            exit_code=end.exit_code,
            error_code=end.code,
            error_message=end.message,
            peak_gpu_bytes=end.peak_gpu_bytes,
            peak_host_bytes=end.peak_host_bytes,
        )
    )


def _get_last_step(result: Mapping[str, Any]) -> dict[str, Any]:
    """Step and loss for the row of a run that took no step: it was resumed from a checkpoint of the last step."""
    last = {Job.step: result.get("step_count"), Job.last_loss: result.get("final_loss")}
    return {
        column.key: case((Job.last_loss.is_(None), value), else_=column)
        for column, value in last.items()
        if value is not None
    }


def _get_peaks(end: RunEnd) -> dict[str, Any]:
    """The peaks of this run and those before it; null means that nothing is known."""
    peaks = {"peak_gpu_bytes": end.peak_gpu_bytes, "peak_host_bytes": end.peak_host_bytes}
    return {
        name: case((getattr(Job, name) > value, getattr(Job, name)), else_=value)
        for name, value in peaks.items()
        if value is not None
    }
