"""The forecast: in which order, and when, waiting jobs will be claimed if all jobs take as long as expected. Pure.

It simulates claims by the rules of turns.py, starting with the present slots and standings; each slot takes its next
job when the previous one has ended. Usage is counted in seconds as of the start of the simulation: as all usage decays
at the same rate, a second used later counts more, and nothing else has to decay.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple

from jobs.priorities import CLASSES, PriorityClass
from jobs.queue.offers import Offer
from jobs.queue.shares import Standing, TurnOrder, accumulate

# A run that has exceeded its expected time, or has none, is taken to end soon, but not at this very moment.
LEAST_SECONDS = 1.0

# An offer that every job fits.
ANY_SLOT = Offer("cuda")

_PLACE_OF_CLASS = {priority_class: place for place, priority_class in enumerate(CLASSES)}


# WaitingJob and Place are tuples because there are many of them.
class WaitingJob(NamedTuple):
    """A queued job that is not held."""

    id: str
    team_id: str
    # The class that it counts as (jobs/queue/turns.py).
    priority_class: PriorityClass = PriorityClass.NORMAL
    priority: int = 0
    needs_cuda: bool = False
    cpu_memory_bytes: int | None = None
    cuda_memory_bytes: int | None = None
    expected_seconds: float = 0.0
    # What remains of its advance now.
    advance_seconds: float = 0.0
    pinned_rank: int | None = None

    def fits(self, offer: Offer) -> bool:
        return offer.fits(self.needs_cuda, self.cpu_memory_bytes, self.cuda_memory_bytes)


class Place(NamedTuple):
    """A waiting job's place in the queue."""

    job: WaitingJob
    # 1 is next. None: the quotas of its team allow it no turn.
    position: int | None
    # Seconds from now. None where it has no turn, or fits no open slot.
    starts_in: float | None = None
    # Numbers of jobs before it: those of its team, pinned ones, and those of a higher class.
    team_ahead: int = 0
    pinned_ahead: int = 0
    class_ahead: int = 0


@dataclass(frozen=True, slots=True)
class SlotOutlook:
    """A slot at the start of the simulation, and what runs on it."""

    offer: Offer
    # Whether it takes jobs: it was seen recently, and is neither drained nor blocked.
    is_open: bool = True
    # None where nothing runs.
    team_id: str | None = None
    left_seconds: float = 0.0
    advance_seconds: float = 0.0
    # Why it is blocked, with its name, if its worker was seen recently and it is not drained.
    obstacle: str | None = None


def forecast(
    jobs: Sequence[WaitingJob], standings: Sequence[Standing], slots: Sequence[SlotOutlook], *, half_life: float
) -> list[Place]:
    """The place of each job, in the order of the claims.

    Modifies `standings`, which end up as at the end of the simulation.
    """
    run = _VirtualRun(jobs, standings, half_life)
    run.see_slots_through(slots)
    run.see_rest_through()
    return run.list_places()


class _Lane:
    """The jobs of one team within one class, in order, with the first one for each kind of slot."""

    def __init__(self) -> None:
        self.jobs: list[WaitingJob] = []
        self._heads: list[int] = []

    def add_kind(self, offer: Offer, taken: set[str]) -> bool:
        """Find the first job for a new kind of slot; returns whether there is one."""
        self._heads.append(-1)
        return self._look_on(len(self._heads) - 1, offer, taken)

    def get_head(self, kind: int) -> WaitingJob:
        """The first job for a kind of slot that has one."""
        return self.jobs[self._heads[kind]]

    def drop(self, job: WaitingJob, offers: Sequence[Offer], taken: set[str]) -> list[int]:
        """Remove a job that was claimed; returns the kinds of slots for which no other is left."""
        return [
            kind
            for kind, index in enumerate(self._heads)
            if index < len(self.jobs) and self.jobs[index] is job and not self._look_on(kind, offers[kind], taken)
        ]

    def _look_on(self, kind: int, offer: Offer, taken: set[str]) -> bool:
        jobs, index = self.jobs, self._heads[kind] + 1
        while index < len(jobs) and (jobs[index].id in taken or not jobs[index].fits(offer)):
            index += 1
        self._heads[kind] = index
        return index < len(jobs)


class _VirtualRun:
    def __init__(self, jobs: Sequence[WaitingJob], standings: Sequence[Standing], half_life: float) -> None:
        self._half_life = half_life
        self._order = TurnOrder(standings)
        self._bounded = {each.team_id for each in standings if each.is_bounded}
        self._jobs = sorted(jobs, key=lambda job: (_PLACE_OF_CLASS[job.priority_class], -job.priority, job.id))
        self._pinned = [job for job in self._jobs if job.pinned_rank is not None]
        self._pinned.sort(key=lambda job: (job.pinned_rank, job.id))
        # One dictionary for each class, the highest first.
        self._lanes: list[dict[str, _Lane]] = [{} for _ in CLASSES]
        for job in self._jobs:
            self._get_lanes(job).setdefault(job.team_id, _Lane()).jobs.append(job)
        # The kinds of slots seen so far, and for each, by class, the teams that have a job for it.
        self._offers: list[Offer] = []
        self._candidates: list[list[set[str]]] = []
        self._taken: set[str] = set()
        self._places: list[Place] = []
        self._team_counts = dict.fromkeys((each.team_id for each in standings), 0)
        self._class_counts = [0] * len(CLASSES)
        self._pinned_count = 0

    def see_slots_through(self, slots: Sequence[SlotOutlook]) -> None:
        """Simulate until no slot takes any further job."""
        number = count()
        # The end of a run, a number that orders equal ends, its slot, its team, and the advance that the team gets
        # back.
        ends = [
            (max(slot.left_seconds, LEAST_SECONDS), next(number), index, slot.team_id, slot.advance_seconds)
            for index, slot in enumerate(slots)
            if slot.team_id is not None
        ]
        heapq.heapify(ends)
        kinds = [self._get_kind(slot.offer) for slot in slots]
        now, parked = 0.0, list[int]()
        ready = [index for index, slot in enumerate(slots) if slot.team_id is None and slot.is_open]
        while True:
            for index in ready:
                job = self._take(kinds[index], now, has_slot=True)
                if job is None:
                    parked.append(index)
                else:
                    end_at = now + max(job.expected_seconds, LEAST_SECONDS)
                    heapq.heappush(ends, (end_at, next(number), index, job.team_id, job.advance_seconds))
            if not ends:
                return
            now, _, index, team_id, advance_seconds = heapq.heappop(ends)
            self._order.note_end(team_id, advance_seconds=advance_seconds)
            ready = [index] if slots[index].is_open else []
            if team_id in self._bounded:
                # Slots that found no job may find one now that the team runs one job less.
                ready, parked = [*parked, *ready], []

    def see_rest_through(self) -> None:
        """Order the jobs that fit no open slot as if there were enough slots."""
        kind = self._get_kind(ANY_SLOT)
        while self._take(kind, 0.0, has_slot=False) is not None or self._end_all():
            pass

    def list_places(self) -> list[Place]:
        return self._places + [Place(job, None) for job in self._jobs if job.id not in self._taken]

    def _get_lanes(self, job: WaitingJob) -> dict[str, _Lane]:
        return self._lanes[_PLACE_OF_CLASS[job.priority_class]]

    def _get_kind(self, offer: Offer) -> int:
        """The number of the kind of slot that makes this offer."""
        if offer not in self._offers:
            self._offers.append(offer)
            self._candidates.append(
                [
                    {team_id for team_id, lane in lanes.items() if lane.add_kind(offer, self._taken)}
                    for lanes in self._lanes
                ]
            )
        return self._offers.index(offer)

    def _end_all(self) -> bool:
        """End the running jobs of teams with quotas; returns whether there was any."""
        is_any = False
        for team_id in self._bounded:
            while self._order[team_id].running_count > 0:
                self._order.note_end(team_id, advance_seconds=0.0)
                is_any = True
        return is_any

    def _take(self, kind: int, now: float, *, has_slot: bool) -> WaitingJob | None:
        offer = self._offers[kind]
        job = self._find_pinned(offer) or self._find_by_class(kind)
        if job is None:
            return None
        self._add_place(job, now if has_slot else None)
        self._taken.add(job.id)
        used = offer.size * accumulate(
            job.expected_seconds, since_end=-now - job.expected_seconds, half_life=self._half_life
        )
        self._order.note_start(job.team_id, usage_seconds=used, window_seconds=offer.size * job.expected_seconds)
        for empty in self._get_lanes(job)[job.team_id].drop(job, self._offers, self._taken):
            self._candidates[empty][_PLACE_OF_CLASS[job.priority_class]].discard(job.team_id)
        return job

    def _find_pinned(self, offer: Offer) -> WaitingJob | None:
        for job in self._pinned:
            if job.id not in self._taken and job.fits(offer) and self._order[job.team_id].may_run:
                return job
        return None

    def _find_by_class(self, kind: int) -> WaitingJob | None:
        for lanes, teams in zip(self._lanes, self._candidates[kind], strict=True):
            if not teams:
                continue
            stuck = {team_id for team_id in teams & self._bounded if not self._order[team_id].may_run}
            team_id = self._order.choose((teams - stuck if stuck else teams).__contains__)
            if team_id is not None:
                return lanes[team_id].get_head(kind)
        return None

    def _add_place(self, job: WaitingJob, starts_in: float | None) -> None:
        place_of_class = _PLACE_OF_CLASS[job.priority_class]
        self._places.append(
            Place(
                job,
                position=len(self._places) + 1,
                starts_in=starts_in,
                team_ahead=self._team_counts[job.team_id],
                pinned_ahead=self._pinned_count,
                class_ahead=sum(self._class_counts[:place_of_class]),
            )
        )
        self._team_counts[job.team_id] += 1
        self._class_counts[place_of_class] += 1
        self._pinned_count += job.pinned_rank is not None
