"""Turns: which waiting job a slot takes next, and where in the queue a job stands."""

from datetime import timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Job, Run, Slot
from jobs.settings import DEVICES, Device
from jobs.status import JobStatus

# Teams take turns by what they used in this window; the queue's finer rules build on it.
USAGE_WINDOW = timedelta(hours=24)

# Usage counts in whole minutes: a second more or less must not decide, nor move the queue while one looks at it.
USAGE_UNIT_SECONDS = 60


def list_teams_by_turn(session: Session) -> list[str]:
    """Teams with a waiting job: those with the fewest running first, then those that used least."""
    queued, running, usage = (
        _count_by_team(session, JobStatus.QUEUED),
        _count_by_team(session, JobStatus.RUNNING),
        _get_usage(session),
    )
    return sorted(queued, key=lambda team_id: (running.get(team_id, 0), usage.get(team_id, 0), team_id))


def find_head(session: Session, *, team_id: str, device: Device) -> Job | None:
    """The waiting job of a team that goes first on such a device."""
    statement = _select_waiting(device).where(Job.team_id == team_id)
    return session.scalar(statement.order_by(Job.priority.desc(), Job.id).limit(1))


def has_waiting(session: Session, *, device: Device) -> bool:
    """Whether a job waits that this device can run."""
    return session.scalar(_select_waiting(device).limit(1)) is not None


def list_devices_to_wake(session: Session, *, seen_within_seconds: float) -> list[Device]:
    """The devices of slots that are there and idle, while a job waits that they can run."""
    since = utc_now() - timedelta(seconds=seen_within_seconds)
    busy = select(Job.slot).where(Job.status == JobStatus.RUNNING)
    idle = select(Slot.device).where(Slot.seen_at >= since, Slot.name.not_in(busy))
    devices = set(session.scalars(idle.distinct()))
    return [device for device in DEVICES if device in devices and has_waiting(session, device=device)]


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
    own_rank = (usage.get(job.team_id, 0), job.team_id)
    position = 1 + (before_in_team or 0)
    for team_id, count in queued.items():
        if team_id != job.team_id:
            ahead = own_turn - running.get(team_id, 0) + ((usage.get(team_id, 0), team_id) < own_rank)
            position += min(count, max(0, ahead))
    return position


def _select_waiting(device: Device) -> Select[Job]:
    statement = select(Job).where(Job.status == JobStatus.QUEUED)
    return statement if device == "cuda" else statement.where(Job.needs_cuda.is_(False))


def _count_by_team(session: Session, status: JobStatus) -> dict[str, int]:
    statement = select(Job.team_id, func.count()).where(Job.status == status).group_by(Job.team_id)
    return dict(session.execute(statement).all())


def _get_usage(session: Session) -> dict[str, int]:
    """Whole slot minutes by team within the window."""
    now = utc_now()
    since = now - USAGE_WINDOW
    usage: dict[str, float] = {}
    rows = session.execute(select(Run.team_id, Run.started_at, Run.ended_at).where(Run.started_at >= since))
    for team_id, started_at, ended_at in rows:
        usage[team_id] = usage.get(team_id, 0.0) + ((ended_at or now) - started_at).total_seconds()
    return {team_id: int(seconds // USAGE_UNIT_SECONDS) for team_id, seconds in usage.items()}
