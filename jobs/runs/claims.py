"""The verbs of a running job: claim, heartbeat, and what its run reports. Each write is conditional on the attempt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.orm import Session

from emomodel.protocol.progress import CHECKPOINT_FAILED, RESUMED, Checkpoint, Notice
from emomodel.protocol.progress import Metric as MetricLine
from jobs.clock import utc_now
from jobs.database.engine import lock_claims
from jobs.errors import RunFenced
from jobs.models import Job, Metric, Run, Slot
from jobs.queue import usage
from jobs.queue.offers import Offer
from jobs.queue.rules import QueueRules
from jobs.queue.turns import find_next
from jobs.records import add_event
from jobs.runs.loss_trace import extend_trace
from jobs.runs.metrics import get_metric_values
from jobs.settings import MIB, Device
from jobs.status import JobStatus, StopKind


@dataclass(frozen=True)
class Heartbeat:
    """What a run learns from its heartbeat."""

    stop: StopKind | None
    checkpoint_requested_at: datetime | None


def claim_next(
    session: Session,
    *,
    slot: str,
    device: Device,
    lease_seconds: float,
    boot_id: str | None = None,
    rules: QueueRules | None = None,
    now: datetime | None = None,
) -> Job | None:
    """Move the job whose turn it is from queued to running and return it; None when there is none for the slot.

    A slot that is drained, blocked or busy takes none; a dead run of the slot has to be reaped before. Without `rules`
    the defaults of the settings apply.
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
        # This fails when the job was cancelled meanwhile; it then no longer waits, and the next job is found.
        if _take(session, job, slot, lease_seconds, size=offer.size, boot_id=boot_id, now=now):
            return job
    return None


def heartbeat(session: Session, *, job_id: str, attempt: int, lease_seconds: float) -> Heartbeat:
    """Extend the lease. Raises RunFenced."""
    now = utc_now()
    update_owned(session, job_id, attempt, heartbeat_at=now, lease_expires_at=now + timedelta(seconds=lease_seconds))
    stop, checkpoint_requested_at = session.execute(
        select(Job.stop_kind, Job.checkpoint_requested_at).where(Job.id == job_id)
    ).one()
    return Heartbeat(stop, checkpoint_requested_at)


def record_phase(session: Session, *, job_id: str, attempt: int, phase: str, message: str) -> None:
    """Record the phase that a run has entered. Raises RunFenced."""
    update_owned(session, job_id, attempt, phase=phase)
    add_event(session, job_id=job_id, attempt=attempt, kind="phase", message=message)


def record_plan(session: Session, *, job_id: str, attempt: int, total_steps: int, message: str) -> None:
    """Record how many steps a run will take in total. Raises RunFenced."""
    update_owned(session, job_id, attempt, total_steps=total_steps)
    add_event(session, job_id=job_id, attempt=attempt, kind="plan", message=message)


def record_notice(session: Session, *, job_id: str, attempt: int, notice: Notice) -> None:
    """Record a notice of the training process as an event. Raises RunFenced."""
    values: dict[str, Any] = {"heartbeat_at": utc_now()}
    if notice.code == CHECKPOINT_FAILED:
        # The checkpoint that was asked for will not come.
        values["checkpoint_requested_at"] = None
    update_owned(session, job_id, attempt, **values)
    if notice.code == RESUMED:
        statement = update(Run).where(Run.job_id == job_id, Run.attempt == attempt)
        session.execute(statement.values(resumed_step=notice.step))
    # PostgreSQL does not store null characters in text.
    message = notice.message.replace("\x00", "")
    add_event(session, job_id=job_id, attempt=attempt, kind="notice", message=message)


def record_checkpoint(session: Session, *, job_id: str, attempt: int, checkpoint: Checkpoint) -> None:
    """Record a checkpoint; a scheduled one is no event, as these would crowd out other events. Raises RunFenced."""
    values: dict[str, Any] = {"checkpoint_step": checkpoint.step, "checkpoint_at": utc_now()}
    if checkpoint.reason == "request":
        values["checkpoint_requested_at"] = None
    update_owned(session, job_id, attempt, **values)
    if checkpoint.reason != "schedule":
        message = f"Step {checkpoint.step} was saved: {checkpoint.size_bytes / MIB:.0f} MiB."
        add_event(session, job_id=job_id, attempt=attempt, kind="checkpoint", message=message)


def record_metrics(session: Session, *, job_id: str, attempt: int, metrics: Sequence[tuple[int, MetricLine]]) -> None:
    """Store a batch of (seq, metric), oldest first, not empty; metrics that are stored already are skipped.

    Raises RunFenced.
    """
    _, last = metrics[-1]
    # Only the run that owns the job changes the trace, and the update below is conditional on the attempt.
    trace = session.scalar(select(Job.loss_trace).where(Job.id == job_id, Job.attempt == attempt))
    update_owned(
        session,
        job_id,
        attempt,
        step=last.step,
        total_steps=last.total_steps,
        last_loss=last.loss,
        loss_trace=extend_trace(trace, ((line.step, _keep_finite(line.loss)) for _, line in metrics)),
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


def _keep_finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _take(
    session: Session, job: Job, slot: str, lease_seconds: float, *, size: float, boot_id: str | None, now: datetime
) -> bool:
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
        session.add(_make_run(job, size=size, boot_id=boot_id, now=now))
        message = f"Attempt {attempt} starts on {slot}."
        add_event(session, job_id=job.id, attempt=attempt, kind="running", message=message)
    return taken


def _make_run(job: Job, *, size: float, boot_id: str | None, now: datetime) -> Run:
    return Run(
        job_id=job.id,
        attempt=job.attempt,
        team_id=job.team_id,
        slot=job.slot,
        slot_size=size,
        boot_id=boot_id,
        expected_seconds=usage.expect_run(job),
        started_at=now,
    )


def update_owned(session: Session, job_id: str, attempt: int, **values: Any) -> None:
    """Change the job's row for the run that owns it. Raises RunFenced when this attempt no longer runs the job."""
    if not _update(session, [Job.id == job_id, Job.attempt == attempt, Job.status == JobStatus.RUNNING], **values):
        raise RunFenced(f"attempt {attempt} no longer owns job {job_id}")


def _update(session: Session, conditions: list[Any], **values: Any) -> bool:
    result = session.execute(update(Job).where(*conditions).values(**values))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
