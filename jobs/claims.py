"""The verbs of a run: claim, heartbeat, succeed, fail, and the reaper's. Each write is conditional on the attempt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.orm import Session

from emomodel.progress import Metric as MetricLine
from jobs import usage
from jobs.clock import utc_now
from jobs.database import lock_claims
from jobs.errors import RunFenced
from jobs.metrics import get_metric_values
from jobs.models import Artifact, Job, Metric, Run, Slot
from jobs.offers import Offer
from jobs.rules import QueueRules
from jobs.service import add_event
from jobs.settings import Device
from jobs.status import FINAL_STATUSES, JobStatus, can_move
from jobs.turns import find_next

# How a run is marked whose worker gave no sign of life, or which the operator interrupted. The first counts as a crash.
WORKER_LOST = "worker_lost"
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Heartbeat:
    """What a run learns at a sign of life."""

    stop_requested: bool


def note_slot(session: Session, *, name: str, device: Device, host: str, memory_bytes: int | None = None) -> None:
    """The slot's worker is there."""
    slot = session.get(Slot, name)
    if slot is None:
        session.add(Slot(name=name, device=device, host=host, memory_bytes=memory_bytes, seen_at=utc_now()))
    else:
        slot.device, slot.host, slot.memory_bytes, slot.seen_at = device, host, memory_bytes, utc_now()


def claim_next(
    session: Session,
    *,
    slot: str,
    device: Device,
    lease_seconds: float,
    rules: QueueRules | None = None,
    now: datetime | None = None,
) -> Job | None:
    """Queued -> running for the job whose turn it is, or None. The slot's own dead run must be reaped before.

    A slot that is drained or blocked takes none. Without rules those of the settings' defaults hold.
    """
    rules, now = rules or QueueRules(), now or utc_now()
    lock_claims(session)
    if session.scalar(select(Job.id).where(Job.slot == slot, Job.status == JobStatus.RUNNING)) is not None:
        return None
    row = session.get(Slot, slot, populate_existing=True)
    if row is not None and (row.drained_at is not None or row.blocked_reason is not None):
        return None
    usage.renew_half_lives(session, rules=rules, now=now)
    offer = Offer(device, row.memory_bytes, row.size) if row is not None else Offer(device)
    while (job_id := find_next(session, offer=offer, rules=rules, now=now)) is not None:
        job = session.get_one(Job, job_id, populate_existing=True)
        # It fails where the job was cancelled meanwhile: then it no longer waits, and the next is found.
        if _take(session, job, slot, lease_seconds, size=offer.size, now=now):
            return job
    return None


def heartbeat(session: Session, *, job_id: str, attempt: int, lease_seconds: float) -> Heartbeat:
    """Extend the lease. Raises RunFenced."""
    now = utc_now()
    _update_owned(session, job_id, attempt, heartbeat_at=now, lease_expires_at=now + timedelta(seconds=lease_seconds))
    stop_requested_at = session.scalar(select(Job.stop_requested_at).where(Job.id == job_id))
    return Heartbeat(stop_requested=stop_requested_at is not None)


def record_phase(session: Session, *, job_id: str, attempt: int, phase: str, message: str) -> None:
    """Raises RunFenced."""
    _update_owned(session, job_id, attempt, phase=phase)
    add_event(session, job_id=job_id, attempt=attempt, kind="phase", message=message)


def record_plan(session: Session, *, job_id: str, attempt: int, total_steps: int, message: str) -> None:
    """Raises RunFenced."""
    _update_owned(session, job_id, attempt, total_steps=total_steps)
    add_event(session, job_id=job_id, attempt=attempt, kind="plan", message=message)


def record_notice(session: Session, *, job_id: str, attempt: int, message: str) -> None:
    """Raises RunFenced."""
    _update_owned(session, job_id, attempt, heartbeat_at=utc_now())
    add_event(session, job_id=job_id, attempt=attempt, kind="notice", message=message)


def record_metrics(session: Session, *, job_id: str, attempt: int, metrics: Sequence[tuple[int, MetricLine]]) -> None:
    """A batch of (seq, metric), oldest first, not empty. What an earlier, half-known commit stored is left out.

    Raises RunFenced.
    """
    _, last = metrics[-1]
    _update_owned(
        session,
        job_id,
        attempt,
        step=last.step,
        total_steps=last.total_steps,
        last_loss=last.loss,
        tokens_per_second=last.tokens_per_second,
        eta_seconds=last.eta_seconds,
    )
    owner = (Metric.job_id == job_id, Metric.attempt == attempt)
    stored = session.scalar(select(func.max(Metric.seq)).where(*owner)) or 0
    session.add_all(
        Metric(job_id=job_id, attempt=attempt, seq=seq, values=get_metric_values(line))
        for seq, line in metrics
        if seq > stored
    )


def succeed(
    session: Session,
    *,
    job_id: str,
    attempt: int,
    artifacts: Sequence[Artifact],
    message: str,
    result: Mapping[str, Any],
) -> None:
    """Running -> succeeded, with what the run made and what it took. Raises RunFenced."""
    _end(session, job_id, attempt, JobStatus.SUCCEEDED, message, exit_code=0, result=dict(result))
    session.add_all(artifacts)


def fail(
    session: Session,
    *,
    job_id: str,
    attempt: int,
    code: str,
    message: str,
    exit_code: int | None,
    artifacts: Sequence[Artifact] = (),
) -> None:
    """Running -> failed, with the reason. Raises RunFenced."""
    _end(
        session, job_id, attempt, JobStatus.FAILED, message, exit_code=exit_code, error_code=code, error_message=message
    )
    session.add_all(artifacts)


def confirm_cancel(
    session: Session, *, job_id: str, attempt: int, exit_code: int | None, artifacts: Sequence[Artifact] = ()
) -> None:
    """Running -> cancelled: the process has gone. Raises RunFenced."""
    _end(session, job_id, attempt, JobStatus.CANCELLED, "The run has stopped.", exit_code=exit_code)
    session.add_all(artifacts)


def requeue(session: Session, *, job_id: str, attempt: int, message: str, exit_code: int | None) -> None:
    """Running -> queued: the run was interrupted and the job goes on later; or -> cancelled, where that was asked for.

    An interruption doesn't count among the attempts that max_attempts limits. Raises RunFenced.
    """
    statement = select(Job).where(Job.id == job_id).with_for_update()
    job = session.scalar(statement.execution_options(populate_existing=True))
    if job is not None and job.stop_requested_at is not None:
        confirm_cancel(session, job_id=job_id, attempt=attempt, exit_code=exit_code)
    else:
        _end(session, job_id, attempt, JobStatus.QUEUED, message, exit_code=exit_code, run_error=INTERRUPTED)


def reap(session: Session, *, max_attempts: int) -> list[str]:
    """Requeue each running job whose lease has ended (or fail or cancel it); returns the jobs' ids."""
    lock_claims(session)
    statement = select(Job).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < utc_now())
    # The lock makes the database look again at a row that a late heartbeat or a cancel is just changing.
    lost = session.scalars(statement.with_for_update()).all()
    for job in lost:
        give_up_run(
            session, job=job, max_attempts=max_attempts, reason="Its worker gave no sign of life and is taken for dead"
        )
    return [job.id for job in lost]


def give_up_run(session: Session, *, job: Job, max_attempts: int, reason: str) -> None:
    """End a run that nobody supervises any more: requeue the job, or cancel or fail it when that is due."""
    if job.stop_requested_at is not None:
        _end(
            session,
            job.id,
            job.attempt,
            JobStatus.CANCELLED,
            f"{reason}; the job was to be cancelled.",
            error_code=None,
        )
        return
    crash_count = 1 + _count_crashes(session, job.id)
    if crash_count >= max_attempts:
        message = f"{reason}. This was crash {crash_count} of {max_attempts}; see the job's log for its last lines."
        _end(session, job.id, job.attempt, JobStatus.FAILED, message, error_code=WORKER_LOST, error_message=message)
    else:
        _end(
            session,
            job.id,
            job.attempt,
            JobStatus.QUEUED,
            f"{reason}; the job is queued again.",
            run_error=WORKER_LOST,
        )


def list_ended_runs(session: Session, *, within: timedelta) -> list[tuple[str, int]]:
    """(job id, attempt) of the runs that ended lately and whose job has ended too."""
    statement = (
        select(Run.job_id, Run.attempt)
        .join(Job, Job.id == Run.job_id)
        .where(Run.ended_at >= utc_now() - within, Job.status.in_(FINAL_STATUSES))
    )
    return [(job_id, attempt) for job_id, attempt in session.execute(statement)]


def _count_crashes(session: Session, job_id: str) -> int:
    statement = select(func.count()).select_from(Run).where(Run.job_id == job_id, Run.error_code == WORKER_LOST)
    return session.scalar(statement) or 0


def _take(session: Session, job: Job, slot: str, lease_seconds: float, *, size: float, now: datetime) -> bool:
    attempt = job.attempt + 1
    taken = _update(
        session,
        [Job.id == job.id, Job.status == JobStatus.QUEUED, Job.attempt == job.attempt],
        status=JobStatus.RUNNING,
        attempt=attempt,
        slot=slot,
        started_at=job.started_at or now,
        heartbeat_at=now,
        lease_expires_at=now + timedelta(seconds=lease_seconds),
        phase="starting",
        step=0,
        last_loss=None,
        tokens_per_second=None,
        eta_seconds=None,
    )
    if taken:
        session.refresh(job)
        session.add(
            Run(
                job_id=job.id,
                attempt=attempt,
                team_id=job.team_id,
                slot=slot,
                slot_size=size,
                expected_seconds=usage.expect_run(job),
                started_at=now,
            )
        )
        add_event(
            session, job_id=job.id, attempt=attempt, kind="running", message=f"Attempt {attempt} starts on {slot}."
        )
    return taken


def _end(
    session: Session,
    job_id: str,
    attempt: int,
    status: JobStatus,
    message: str,
    *,
    exit_code: int | None = None,
    run_error: str | None = None,
    **values: Any,
) -> None:
    """Leave `running`: the job's row, the run's row and the event, all conditional on the attempt."""
    assert can_move(JobStatus.RUNNING, status)
    now = utc_now()
    # What has ended, or waits, has no speed, and no time left that anybody could know.
    left = dict.fromkeys(("slot", "lease_expires_at", "stop_requested_at", "phase", "eta_seconds", "tokens_per_second"))
    values = left | values
    if status.is_final:
        values["finished_at"] = now
    _update_owned(session, job_id, attempt, status=status, **values)
    session.execute(
        update(Run)
        .where(Run.job_id == job_id, Run.attempt == attempt)
        .values(
            ended_at=now, outcome=status.value, exit_code=exit_code, error_code=run_error or values.get("error_code")
        )
    )
    usage.charge_run(session, job_id=job_id, attempt=attempt, now=now)
    kind = "requeued" if status is JobStatus.QUEUED else status.value
    add_event(session, job_id=job_id, attempt=attempt, kind=kind, message=message)


def _update_owned(session: Session, job_id: str, attempt: int, **values: Any) -> None:
    """Raises RunFenced when this attempt no longer runs the job."""
    if not _update(session, [Job.id == job_id, Job.attempt == attempt, Job.status == JobStatus.RUNNING], **values):
        raise RunFenced(f"attempt {attempt} no longer owns job {job_id}")


def _update(session: Session, conditions: list[Any], **values: Any) -> bool:
    result = session.execute(update(Job).where(*conditions).values(**values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
