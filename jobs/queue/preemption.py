"""Which running jobs have to give up their slot for waiting jobs of a higher class: the decision, not its execution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Job, Run, Slot
from jobs.queue.board import draw_board
from jobs.queue.forecast import Place, WaitingJob
from jobs.queue.offers import Offer
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Standing
from jobs.queue.turns import get_class, make_offer
from jobs.status import JobStatus


@dataclass(frozen=True)
class RunningJob:
    """The job that runs on a slot."""

    id: str
    # The rank of the class that it counts as.
    rank: int
    started_at: datetime
    # When it was asked to stop.
    stopping_since: datetime | None = None
    # Pinned by the operator: it would take the slot again at once.
    is_pinned: bool = False


@dataclass(frozen=True)
class SlotInUse:
    """An open slot: one that takes jobs."""

    offer: Offer
    running: RunningJob | None


def find_preemption(
    session: Session, *, seen_within_seconds: float, rules: QueueRules | None = None, now: datetime | None = None
) -> list[str]:
    """The ids of running jobs to preempt now. Once these were asked to stop, another call names no others."""
    now = now or utc_now()
    rules = replace(rules or QueueRules(), seen_seconds=seen_within_seconds)
    slots = _list_slots(session, rules, now)
    lowest = min((slot.running.rank for slot in slots if slot.running), default=None)
    # Ordering a long queue is expensive, and there is rarely anything to preempt.
    if lowest is None or _find_highest_rank(session, rules, now) <= lowest:
        return []
    board = draw_board(session, rules=rules, now=now)
    return choose_victims(board.places, slots, list(board.standings.values()))


def choose_victims(places: Sequence[Place], slots: Sequence[SlotInUse], standings: Sequence[Standing]) -> list[str]:
    """The ids of the running jobs to preempt. Pure.

    Each waiting job, in the order of the claims, takes a slot that is free or about to be. A job that finds
    none takes the slot of a job of a lower class: of the lowest class, the job that started last and so loses least.
    """
    free, victims = _list_free(slots), _list_preemptible(slots)
    teams = {standing.team_id: replace(standing) for standing in standings}
    chosen: list[str] = []
    for job in _sort_by_claim(places):
        team, rank = teams[job.team_id], job.priority_class.rank
        victims = [each for each in victims if job.pinned_rank is not None or each[1].rank < rank]
        if not free and not victims:
            break
        if not team.may_run:
            continue
        offer = next((offer for offer in free if job.fits(offer)), None)
        fitting = [each for each in victims if job.fits(each[0]) and each[1].rank < rank]
        if offer is not None:
            free.remove(offer)
        elif fitting:
            victim = min(fitting, key=lambda each: (each[1].rank, -each[1].started_at.timestamp()))
            victims.remove(victim)
            chosen.append(victim[1].id)
            offer = victim[0]
        else:
            # This job would take any slot that it fits once that is free, so later jobs gain nothing from preempting
            # one.
            victims = [each for each in victims if not job.fits(each[0])]
            continue
        team.running_count += 1
        team.window_seconds += offer.size * job.expected_seconds
    return chosen


def _list_free(slots: Sequence[SlotInUse]) -> list[Offer]:
    """The slots that are free or about to be, in the order in which they are given away."""
    free = [slot.offer for slot in slots if slot.running is None]
    # A slot that few jobs fit is given away first.
    free.sort(key=lambda offer: (offer.device == "cuda", offer.memory_bytes or math.inf))
    # Then those whose run is stopping, in the order in which the stops were requested: a second call then gives each to
    # the job for which the first call requested the stop.
    runs = [(slot.offer, slot.running.stopping_since) for slot in slots if slot.running is not None]
    stopping = [(since, offer) for offer, since in runs if since is not None]
    return free + [offer for _, offer in sorted(stopping, key=lambda each: each[0])]


def _list_preemptible(slots: Sequence[SlotInUse]) -> list[tuple[Offer, RunningJob]]:
    return [
        (slot.offer, slot.running)
        for slot in slots
        if slot.running is not None and slot.running.stopping_since is None and not slot.running.is_pinned
    ]


def _sort_by_claim(places: Sequence[Place]) -> list[WaitingJob]:
    """The waiting jobs in the order in which they get a slot that several of them want."""
    numbered = enumerate(place.job for place in places)
    ordered = sorted(numbered, key=lambda each: (each[1].pinned_rank is None, -each[1].priority_class.rank, each[0]))
    return [job for _, job in ordered]


def _list_slots(session: Session, rules: QueueRules, now: datetime) -> list[SlotInUse]:
    """The open slots with their running jobs, by name."""
    statement = (
        select(
            Job.id,
            Job.slot,
            Job.priority_class,
            Job.created_at,
            Job.pinned_rank,
            Job.stop_requested_at,
            Run.started_at,
        )
        .join(Run, (Run.job_id == Job.id) & (Run.attempt == Job.attempt))
        .where(Job.status == JobStatus.RUNNING)
    )
    running = {
        row.slot: RunningJob(
            id=row.id,
            rank=get_class(row.priority_class, row.created_at, rules=rules, now=now).rank,
            started_at=row.started_at,
            stopping_since=row.stop_requested_at,
            is_pinned=row.pinned_rank is not None,
        )
        for row in session.execute(statement)
    }
    since = now - timedelta(seconds=rules.seen_seconds)
    slots = session.scalars(
        select(Slot).where(Slot.seen_at >= since, Slot.drained_at.is_(None), Slot.blocked_reason.is_(None))
    )
    return [SlotInUse(make_offer(slot), running.get(slot.name)) for slot in sorted(slots, key=lambda slot: slot.name)]


def _find_highest_rank(session: Session, rules: QueueRules, now: datetime) -> int:
    """The highest rank among the waiting jobs; -1 where none waits."""
    statement = (
        select(Job.priority_class, func.min(Job.created_at).label("oldest_at"))
        .where(Job.status == JobStatus.QUEUED, Job.held_at.is_(None))
        .group_by(Job.priority_class)
    )
    ranks = [
        get_class(row.priority_class, row.oldest_at, rules=rules, now=now).rank for row in session.execute(statement)
    ]
    return max(ranks, default=-1)
