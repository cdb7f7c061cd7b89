"""Turns: which waiting job a slot takes next. docs/decisions/0009 has the rule and its reasons."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Job, Slot
from jobs.priorities import CLASSES, PriorityClass
from jobs.queue.offers import Offer
from jobs.queue.rules import QueueRules
from jobs.queue.shares import TurnOrder
from jobs.queue.usage import load_standings
from jobs.settings import DEVICES, Device
from jobs.status import JobStatus


def _make_conditions(offer: Offer) -> list[ColumnElement[bool]]:
    """The SQL condition that a job waits, isn't held, and fits the offer (as Offer.fits does)."""
    conditions: list[ColumnElement[bool]] = [Job.status == JobStatus.QUEUED, Job.held_at.is_(None)]
    if offer.device == "cpu":
        conditions.append(Job.needs_cuda.is_(False))
    if offer.memory_bytes is not None:
        needed = Job.cuda_memory_bytes if offer.device == "cuda" else Job.cpu_memory_bytes
        conditions.append(or_(needed.is_(None), needed <= offer.memory_bytes))
    return conditions


def make_offer(slot: Slot) -> Offer:
    device: Device = "cuda" if slot.device == "cuda" else "cpu"
    return Offer(device, slot.memory_bytes, slot.size)


def find_next(session: Session, *, offer: Offer, rules: QueueRules, now: datetime) -> str | None:
    """The id of the job that a slot with this offer takes next: pinned first, then by class, team, priority and age."""
    waiting = _Waiting(session, offer, rules, now)
    teams_by_class = waiting.list_teams()
    if not any(teams_by_class.values()):
        return None
    standings = load_standings(session, rules=rules, now=now)
    for job_id, team_id in waiting.list_pinned():
        if standings[team_id].may_run:
            return job_id
    order = TurnOrder(standings.values())
    for priority_class in CLASSES:
        teams = {team_id for team_id in teams_by_class[priority_class] if standings[team_id].may_run}
        while (chosen := order.choose(teams.__contains__)) is not None:
            head = waiting.find_head(priority_class, chosen)
            if head is not None:
                return head
            # The team's last job was cancelled after the teams were listed.
            teams.discard(chosen)
    return None


class _Waiting:
    """The jobs that wait, are not held and fit one slot, at one moment. Its queries use the index `ix_job_queue`."""

    def __init__(self, session: Session, offer: Offer, rules: QueueRules, now: datetime) -> None:
        self._session = session
        self._conditions = _make_conditions(offer)
        self._is_raised = (Job.priority_class == PriorityClass.LOW) & (
            Job.created_at < now - timedelta(seconds=rules.low_wait_seconds)
        )
        self._has_pinned = False
        # Teams with jobs that were promoted to the normal class.
        self._raised: set[str] = set()

    def list_teams(self) -> dict[PriorityClass, set[str]]:
        """The teams with such a job, by the class that the job counts as."""
        statement = (
            select(
                Job.priority_class,
                Job.team_id,
                func.count().label("all_count"),
                func.sum(case((self._is_raised, 1), else_=0)).label("raised_count"),
                func.count(Job.pinned_rank).label("pinned_count"),
            )
            .where(*self._conditions)
            # In the order of the index.
            .group_by(Job.priority_class, Job.team_id)
        )
        found: dict[PriorityClass, set[str]] = {each: set() for each in CLASSES}
        for row in self._session.execute(statement):
            if row.raised_count:
                found[PriorityClass.NORMAL].add(row.team_id)
                self._raised.add(row.team_id)
            if row.all_count > row.raised_count:
                found[row.priority_class].add(row.team_id)
            self._has_pinned = self._has_pinned or row.pinned_count > 0
        return found

    def list_pinned(self) -> list[tuple[str, str]]:
        """The ids of pinned jobs and of their teams, in the operator's order."""
        if not self._has_pinned:
            return []
        statement = select(Job.id, Job.team_id).where(*self._conditions, Job.pinned_rank.is_not(None))
        return [(row.id, row.team_id) for row in self._session.execute(statement.order_by(Job.pinned_rank, Job.id))]

    def find_head(self, priority_class: PriorityClass, team_id: str) -> str | None:
        """The id of the first job of a team within a class."""
        counts_as = Job.priority_class == priority_class
        if priority_class is PriorityClass.NORMAL and team_id in self._raised:
            counts_as |= self._is_raised
        elif priority_class is PriorityClass.LOW:
            counts_as &= ~self._is_raised
        statement = select(Job.id).where(*self._conditions, counts_as, Job.team_id == team_id)
        return self._session.scalar(statement.order_by(Job.priority.desc(), Job.id).limit(1))


def get_class(
    priority_class: PriorityClass, created_at: datetime, *, rules: QueueRules, now: datetime
) -> PriorityClass:
    """The class that a job counts as: a `low` job is promoted to `normal` once it has waited long enough."""
    if priority_class is PriorityClass.LOW and created_at < now - timedelta(seconds=rules.low_wait_seconds):
        return PriorityClass.NORMAL
    return priority_class


def has_waiting(session: Session, *, device: Device) -> bool:
    """Whether a job waits that this device can run, regardless of quotas."""
    return session.scalar(select(Job.id).where(*_make_conditions(Offer(device))).limit(1)) is not None


def list_devices_to_wake(session: Session, *, seen_within_seconds: float) -> list[Device]:
    """The devices of slots that are seen, idle and open while a job waits that they can run."""
    since = utc_now() - timedelta(seconds=seen_within_seconds)
    busy = select(Job.slot).where(Job.status == JobStatus.RUNNING)
    idle = select(Slot.device).where(
        Slot.seen_at >= since, Slot.name.not_in(busy), Slot.drained_at.is_(None), Slot.blocked_reason.is_(None)
    )
    devices = set(session.scalars(idle.distinct()))
    return [device for device in DEVICES if device in devices and has_waiting(session, device=device)]
