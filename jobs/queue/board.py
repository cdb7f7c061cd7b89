"""The board: the place of every waiting job in the queue at one moment, by the rules that claims follow."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Event, Job, Run, Slot
from jobs.queue.forecast import Place, SlotOutlook, WaitingJob, forecast
from jobs.queue.offers import Offer
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Standing, decay
from jobs.queue.turns import get_class, make_offer
from jobs.queue.usage import load_standings
from jobs.status import JobStatus

# A queue of at most this length is ordered again after every event of a job, and after this time.
SHORT_QUEUE = 500
SHORT_AGE_SECONDS = 2.0

# A longer queue is ordered so seldom that this takes a twentieth of one core, but at least this often.
COST_FACTOR = 20
LONGEST_AGE_SECONDS = 10.0


@dataclass(frozen=True)
class HeldJob:
    """A waiting job that the operator holds."""

    id: str
    team_id: str
    reason: str


@dataclass(frozen=True)
class Board:
    """The queue at the moment `at`."""

    at: datetime
    # In the order in which they will be claimed; jobs without a turn last.
    places: Sequence[Place]
    # Oldest first.
    held: Sequence[HeldJob]
    standings: Mapping[str, Standing]
    slots: Sequence[SlotOutlook]

    @cached_property
    def by_id(self) -> Mapping[str, Place | HeldJob]:
        return {place.job.id: place for place in self.places} | {job.id: job for job in self.held}


def draw_board(
    session: Session, *, rules: QueueRules, now: datetime | None = None, newcomer: WaitingJob | None = None
) -> Board:
    """The queue now, or with `newcomer` as it would be if that job had just been posted."""
    now = now or utc_now()
    standings = load_standings(session, rules=rules, now=now)
    slots = list_outlooks(session, rules=rules, now=now)
    jobs, held = _load_waiting(session, rules, now)
    if newcomer is not None:
        jobs.append(newcomer)
        standings[newcomer.team_id].advance_seconds += newcomer.advance_seconds
    places = forecast(
        jobs, [replace(standing) for standing in standings.values()], slots, half_life=rules.usage_half_life_seconds
    )
    return Board(at=now, places=places, held=held, standings=standings, slots=slots)


class BoardKeeper:
    """Caches the newest board of a process: many clients poll, and drawing a board takes time."""

    def __init__(self, rules: QueueRules) -> None:
        self.rules = rules
        self._drawing = threading.Lock()
        self._board: Board | None = None
        self._drawn_at = 0.0
        self._cost_seconds = 0.0
        # The newest event that the board includes: every change of a job is an event.
        self._event_id: int | None = None

    def get_board(self, session: Session, *, job_id: str | None = None) -> Board:
        """The newest board; with `job_id` one that includes the job, if it waits.

        For a short queue it includes all changes of jobs; changes of slots and teams appear a moment later.
        """
        board = self._find_fresh(session, job_id)
        if board is None and self._drawing.locked() and self._is_long:
            # Another thread is drawing a new board; use the old one instead of waiting.
            board = self._find(job_id)
        if board is not None:
            return board
        with self._drawing:
            return self._find_fresh(session, job_id) or self._draw(session)

    def forget(self) -> None:
        """Draw a new board at the next call, because a team's weight or quotas have changed."""
        self._drawn_at = 0.0

    @property
    def _is_long(self) -> bool:
        return self._board is not None and len(self._board.places) > SHORT_QUEUE

    def _find_fresh(self, session: Session, job_id: str | None) -> Board | None:
        age = time.monotonic() - self._drawn_at
        if self._is_long:
            is_fresh = age < min(COST_FACTOR * self._cost_seconds, LONGEST_AGE_SECONDS)
        else:
            is_fresh = age < SHORT_AGE_SECONDS and self._event_id == find_newest_event(session)
        return self._find(job_id) if is_fresh else None

    def _find(self, job_id: str | None) -> Board | None:
        board = self._board
        return board if board is not None and (job_id is None or job_id in board.by_id) else None

    def _draw(self, session: Session) -> Board:
        # Read before the rest: the next call then notices what happens meanwhile.
        self._event_id = find_newest_event(session)
        began = time.monotonic()
        board = self._board = draw_board(session, rules=self.rules)
        self._drawn_at = time.monotonic()
        self._cost_seconds = self._drawn_at - began
        return board


def find_newest_event(session: Session) -> int | None:
    """The id of the newest event, or None before the first. All changes of jobs but training progress are events."""
    return session.scalar(select(func.max(Event.id)))


_SELECT_RUNNING = (
    select(
        Job.slot,
        Job.team_id,
        Job.eta_seconds,
        Job.prepaid_seconds,
        Job.created_at,
        Run.started_at,
        Run.expected_seconds,
        Run.slot_size,
    )
    .join(Run, (Run.job_id == Job.id) & (Run.attempt == Job.attempt))
    .where(Job.status == JobStatus.RUNNING)
)


def list_outlooks(session: Session, *, rules: QueueRules, now: datetime) -> list[SlotOutlook]:
    """All slots and what runs on them, sorted by name."""
    running = {row.slot: row for row in session.execute(_SELECT_RUNNING)}
    since = now - timedelta(seconds=rules.seen_seconds)
    slots: dict[str, tuple[Offer, bool, str | None]] = {
        # The slot's row may never have been written: then only the run on it is known.
        name: (Offer("cpu", None, row.slot_size), False, None)
        for name, row in running.items()
    }
    for slot in session.scalars(select(Slot)):
        is_wanted = slot.seen_at >= since and slot.drained_at is None
        obstacle = f"{slot.name} is blocked: {slot.blocked_reason}" if is_wanted and slot.blocked_reason else None
        slots[slot.name] = (make_offer(slot), is_wanted and obstacle is None, obstacle)
    return [
        _make_outlook(SlotOutlook(offer, is_open, obstacle=obstacle), running.get(name), rules, now)
        for name, (offer, is_open, obstacle) in sorted(slots.items())
    ]


def _make_outlook(idle: SlotOutlook, row: Any, rules: QueueRules, now: datetime) -> SlotOutlook:
    """The outlook of a slot with what runs there: `row` is its row of _SELECT_RUNNING, or None where nothing runs."""
    if row is None:
        return idle
    elapsed = (now - row.started_at).total_seconds()
    left = row.expected_seconds - elapsed if row.eta_seconds is None else row.eta_seconds
    advance = _decay_advance(row.prepaid_seconds, row.created_at, rules, now)
    return replace(idle, team_id=row.team_id, left_seconds=left, advance_seconds=advance)


# All these columns are in the index `ix_job_queue`.
_SELECT_WAITING = select(
    Job.id,
    Job.team_id,
    Job.priority_class,
    Job.priority,
    Job.created_at,
    Job.held_at,
    Job.pinned_rank,
    Job.needs_cuda,
    Job.cpu_memory_bytes,
    Job.cuda_memory_bytes,
    Job.expected_seconds,
    Job.prepaid_seconds,
).where(Job.status == JobStatus.QUEUED)


def _load_waiting(session: Session, rules: QueueRules, now: datetime) -> tuple[list[WaitingJob], list[HeldJob]]:
    jobs, is_any_held = [], False
    for (
        job_id,
        team_id,
        priority_class,
        priority,
        created_at,
        held_at,
        pinned_rank,
        needs_cuda,
        cpu_memory_bytes,
        cuda_memory_bytes,
        expected_seconds,
        prepaid_seconds,
    ) in session.connection().execute(_SELECT_WAITING):
        if held_at is not None:
            is_any_held = True
            continue
        jobs.append(
            WaitingJob(
                job_id,
                team_id,
                get_class(priority_class, created_at, rules=rules, now=now),
                priority,
                needs_cuda,
                cpu_memory_bytes,
                cuda_memory_bytes,
                expected_seconds or 0.0,
                _decay_advance(prepaid_seconds, created_at, rules, now),
                pinned_rank,
            )
        )
    return jobs, _load_held(session) if is_any_held else []


def _load_held(session: Session) -> list[HeldJob]:
    statement = select(Job.id, Job.team_id, Job.hold_reason).order_by(Job.id)
    rows = session.execute(statement.where(Job.status == JobStatus.QUEUED, Job.held_at.is_not(None)))
    return [HeldJob(row.id, row.team_id, row.hold_reason or "") for row in rows]


def _decay_advance(seconds: float, paid_at: datetime, rules: QueueRules, now: datetime) -> float:
    if not seconds:
        return 0.0
    return decay(seconds, elapsed=(now - paid_at).total_seconds(), half_life=rules.usage_half_life_seconds)
