"""The verbs of a run: claim, heartbeat, succeed, fail, and the reaper's. Each write is conditional on the attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import CursorResult, func, select, update
from sqlalchemy.orm import Session

from emomodel.progress import Metric as MetricLine
from jobs.clock import utc_now
from jobs.database import lock_claims
from jobs.errors import RunFenced
from jobs.models import Artifact, Job, Metric, Run, Slot
from jobs.service import add_event
from jobs.status import JobStatus, can_move

# Teams take turns by what they used in this window; the queue's finer rules build on it.
USAGE_WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Heartbeat:
    """What a run learns at a sign of life."""

    stop_requested: bool


def note_slot(session: Session, *, name: str, device: str, host: str) -> None:
    """The slot's worker is there."""
    slot = session.get(Slot, name)
    if slot is None:
        session.add(Slot(name=name, device=device, host=host, seen_at=utc_now()))
    else:
        slot.device, slot.host, slot.seen_at = device, host, utc_now()


def claim_next(session: Session, *, slot: str, device: str, lease_seconds: float) -> Job | None:
    """Queued -> running for the job whose turn it is, or None. The slot's own dead run must be reaped before."""
    lock_claims(session)
    if session.scalar(select(Job.id).where(Job.slot == slot, Job.status == JobStatus.RUNNING)) is not None:
        return None
    for team_id in _list_teams_by_turn(session):
        job = _find_head(session, team_id, device)
        if job is not None and _take(session, job, slot, lease_seconds):
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
    """A batch of (seq, metric), oldest first, not empty. Raises RunFenced."""
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
    session.add_all(
        Metric(job_id=job_id, attempt=attempt, seq=seq, values=line.model_dump(mode="json", exclude={"type"}))
        for seq, line in metrics
    )


def succeed(session: Session, *, job_id: str, attempt: int, artifacts: Sequence[Artifact], message: str) -> None:
    """Running -> succeeded, with what the run made. Raises RunFenced."""
    _end(session, job_id, attempt, JobStatus.SUCCEEDED, message, exit_code=0, eta_seconds=0.0, phase=None)
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


def confirm_cancel(session: Session, *, job_id: str, attempt: int, exit_code: int | None) -> None:
    """Running -> cancelled: the process has gone. Raises RunFenced."""
    _end(session, job_id, attempt, JobStatus.CANCELLED, "The run has stopped.", exit_code=exit_code)


def requeue(session: Session, *, job_id: str, attempt: int, message: str, exit_code: int | None) -> None:
    """Running -> queued: the run was interrupted and the job goes on later. Raises RunFenced."""
    _end(session, job_id, attempt, JobStatus.QUEUED, message, exit_code=exit_code)


def find_running(session: Session, *, slot: str) -> Job | None:
    """The job that a slot is said to run."""
    return session.scalar(select(Job).where(Job.slot == slot, Job.status == JobStatus.RUNNING))


def reap(session: Session, *, max_attempts: int) -> list[str]:
    """Requeue each running job whose lease has ended (or fail or cancel it); returns the jobs' ids."""
    lock_claims(session)
    statement = select(Job).where(Job.status == JobStatus.RUNNING, Job.lease_expires_at < utc_now())
    lost = session.scalars(statement).all()
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
    elif job.attempt >= max_attempts:
        message = f"{reason}. This was attempt {job.attempt} of {max_attempts}; see the job's log for its last lines."
        _end(session, job.id, job.attempt, JobStatus.FAILED, message, error_code="worker_lost", error_message=message)
    else:
        _end(
            session,
            job.id,
            job.attempt,
            JobStatus.QUEUED,
            f"{reason}; the job is queued again.",
            run_error="worker_lost",
        )


def count_queued(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Job).where(Job.status == JobStatus.QUEUED)) or 0


def get_queue_position(session: Session, *, job: Job) -> int:
    """1 for the job that is claimed next, by the rule of claim_next; the queued jobs of all teams count."""
    queued = _count_by_team(session, JobStatus.QUEUED)
    running = _count_by_team(session, JobStatus.RUNNING)
    usage = _get_usage(session)
    before_in_team = session.scalar(
        select(func.count())
        .select_from(Job)
        .where(
            Job.team_id == job.team_id,
            Job.status == JobStatus.QUEUED,
            (Job.priority > job.priority) | ((Job.priority == job.priority) & (Job.id < job.id)),
        )
    )
    # The k-th waiting job of a team has its turn when the team runs `running + k` jobs: the fewest go first.
    own_turn = running.get(job.team_id, 0) + (before_in_team or 0)
    own_rank = (usage.get(job.team_id, 0.0), job.team_id)
    position = 1 + (before_in_team or 0)
    for team_id, count in queued.items():
        if team_id != job.team_id:
            ahead = own_turn - running.get(team_id, 0) + ((usage.get(team_id, 0.0), team_id) < own_rank)
            position += min(count, max(0, ahead))
    return position


def _list_teams_by_turn(session: Session) -> list[str]:
    """Teams with a waiting job: those with the fewest running first, then those that used least."""
    queued, running, usage = (
        _count_by_team(session, JobStatus.QUEUED),
        _count_by_team(session, JobStatus.RUNNING),
        _get_usage(session),
    )
    return sorted(queued, key=lambda team_id: (running.get(team_id, 0), usage.get(team_id, 0.0), team_id))


def _count_by_team(session: Session, status: JobStatus) -> dict[str, int]:
    statement = select(Job.team_id, func.count()).where(Job.status == status).group_by(Job.team_id)
    return dict(session.execute(statement).tuples().all())


def _get_usage(session: Session) -> dict[str, float]:
    """Slot seconds by team within the window."""
    now = utc_now()
    since = now - USAGE_WINDOW
    usage: dict[str, float] = {}
    rows = session.execute(select(Run.team_id, Run.started_at, Run.ended_at).where(Run.started_at >= since))
    for team_id, started_at, ended_at in rows:
        usage[team_id] = usage.get(team_id, 0.0) + ((ended_at or now) - started_at).total_seconds()
    return usage


def _find_head(session: Session, team_id: str, device: str) -> Job | None:
    statement = select(Job).where(Job.status == JobStatus.QUEUED, Job.team_id == team_id)
    if device != "cuda":
        statement = statement.where(Job.needs_cuda.is_(False))
    return session.scalar(statement.order_by(Job.priority.desc(), Job.id).limit(1))


def _take(session: Session, job: Job, slot: str, lease_seconds: float) -> bool:
    now = utc_now()
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
        session.add(Run(job_id=job.id, attempt=attempt, team_id=job.team_id, slot=slot, started_at=now))
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
    values |= {"slot": None, "lease_expires_at": None, "stop_requested_at": None, "phase": None}
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
