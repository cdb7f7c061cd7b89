"""Slots: what their workers report, which worker may take jobs, and draining by the operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from emomodel.train_extra import INSTALL_LINE
from jobs.clock import utc_now
from jobs.errors import SlotNotFound
from jobs.models import Job, Slot
from jobs.records import add_event
from jobs.release import get_release
from jobs.settings import Device
from jobs.status import JobStatus


class SlotStatus(StrEnum):
    """What a slot is doing, derived from its row and from what runs there."""

    IDLE = "idle"
    RUNNING = "running"
    # Its worker takes no jobs now; the row has the reason.
    BLOCKED = "blocked"
    # The operator allows no new jobs on it.
    DRAINED = "drained"
    # Its worker was not seen recently.
    AWAY = "away"


@dataclass(frozen=True)
class SlotView:
    """A slot, its status, and the job that runs on it."""

    slot: Slot
    status: SlotStatus
    job: Job | None

    @property
    def is_other_release(self) -> bool:
        """Whether its worker runs another release than this process, or an old one that does not report its release."""
        return self.slot.emotune_version != get_release()


def note_slot(
    session: Session,
    *,
    name: str,
    device: Device,
    host: str,
    boot_id: str | None = None,
    size: float = 1.0,
    memory_bytes: int | None = None,
    memory_used_bytes: int | None = None,
    gpu_name: str | None = None,
    gpu_uuid: str | None = None,
    utilization_percent: float | None = None,
    temperature_celsius: float | None = None,
    power_watts: float | None = None,
    blocked_reason: str | None = None,
) -> None:
    """Record what the slot's worker reports, and that it was seen now. Draining by the operator is not changed."""
    session.merge(
        Slot(
            name=name,
            device=device,
            host=host,
            boot_id=boot_id,
            size=size,
            memory_bytes=memory_bytes,
            memory_used_bytes=memory_used_bytes,
            gpu_name=gpu_name,
            gpu_uuid=gpu_uuid,
            utilization_percent=utilization_percent,
            temperature_celsius=temperature_celsius,
            power_watts=power_watts,
            blocked_reason=blocked_reason,
            emotune_version=get_release(),
            seen_at=utc_now(),
        )
    )


def find_other_host(session: Session, *, name: str, host: str, within_seconds: float) -> str | None:
    """Another host whose worker runs a slot of this name and was seen within this time; None if there is none."""
    since = utc_now() - timedelta(seconds=within_seconds)
    return session.scalar(select(Slot.host).where(Slot.name == name, Slot.host != host, Slot.seen_at >= since))


def is_seen(session: Session, *, name: str, host: str, within_seconds: float) -> bool:
    """Whether this host's worker of the slot was seen within this time."""
    since = utc_now() - timedelta(seconds=within_seconds)
    return (
        session.scalar(select(Slot.name).where(Slot.name == name, Slot.host == host, Slot.seen_at >= since)) is not None
    )


def is_open(session: Session, *, name: str, host: str, within_seconds: float) -> bool:
    """Whether this host's worker may claim a job for the slot: it is not drained, and no other host runs it."""
    drained = session.scalar(select(Slot.name).where(Slot.name == name, Slot.drained_at.is_not(None)))
    other_host = find_other_host(session, name=name, host=host, within_seconds=within_seconds)
    return drained is None and other_host is None


def is_another_idle(session: Session, *, name: str, device: Device, within_seconds: float) -> bool:
    """Whether another slot of the same kind could take a job instead of this one."""
    since = utc_now() - timedelta(seconds=within_seconds)
    busy = select(Job.slot).where(Job.status == JobStatus.RUNNING)
    statement = select(Slot.name).where(
        Slot.name != name,
        Slot.device == device,
        Slot.seen_at >= since,
        Slot.blocked_reason.is_(None),
        Slot.drained_at.is_(None),
        Slot.name.not_in(busy),
    )
    return session.scalar(statement.limit(1)) is not None


def record_blocked(session: Session, *, job_id: str, attempt: int, message: str) -> None:
    """Record as an event of the job that its slot can't take another job after it, and why."""
    # The row is locked so that the ids of the job's events follow the order of the commits.
    session.execute(select(Job.id).where(Job.id == job_id).with_for_update())
    add_event(session, job_id=job_id, attempt=attempt, kind="slot_blocked", message=message)


def lacks_packages(slot: Slot) -> bool:
    """Whether its worker can't import what trainings need. That doesn't end by itself: somebody has to install it."""
    return slot.blocked_reason is not None and INSTALL_LINE in slot.blocked_reason


def list_slots_seen(session: Session, *, within_seconds: float) -> Sequence[Slot]:
    """The slots whose worker was seen within this time, by name."""
    since = utc_now() - timedelta(seconds=within_seconds)
    return session.scalars(select(Slot).where(Slot.seen_at >= since).order_by(Slot.name)).all()


def list_slots(session: Session, *, seen_within_seconds: float) -> list[SlotView]:
    """All slots that were ever seen, by name."""
    running = {job.slot: job for job in session.scalars(select(Job).where(Job.status == JobStatus.RUNNING))}
    return [
        _view(slot, running.get(slot.name), seen_within_seconds)
        for slot in session.scalars(select(Slot).order_by(Slot.name))
    ]


def drain_slot(session: Session, *, name: str, seen_within_seconds: float) -> SlotView:
    """Let the slot take no new jobs; a running job continues. Raises SlotNotFound."""
    slot = _get_slot(session, name)
    slot.drained_at = slot.drained_at or utc_now()
    return _view(slot, _find_running(session, name), seen_within_seconds)


def resume_slot(session: Session, *, name: str, seen_within_seconds: float) -> SlotView:
    """Let a drained slot take jobs again. Raises SlotNotFound."""
    slot = _get_slot(session, name)
    slot.drained_at = None
    return _view(slot, _find_running(session, name), seen_within_seconds)


def _get_slot(session: Session, name: str) -> Slot:
    slot = session.get(Slot, name)
    if slot is None:
        raise SlotNotFound
    return slot


def _find_running(session: Session, name: str) -> Job | None:
    return session.scalar(select(Job).where(Job.slot == name, Job.status == JobStatus.RUNNING))


def _view(slot: Slot, job: Job | None, seen_within_seconds: float) -> SlotView:
    if utc_now() - slot.seen_at > timedelta(seconds=seen_within_seconds):
        status = SlotStatus.AWAY
    elif job is not None:
        status = SlotStatus.RUNNING
    elif slot.drained_at is not None:
        status = SlotStatus.DRAINED
    elif slot.blocked_reason is not None:
        status = SlotStatus.BLOCKED
    else:
        status = SlotStatus.IDLE
    return SlotView(slot, status, job)
