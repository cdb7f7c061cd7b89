"""Days of an installation in seconds: virtual time, no database, the real rule of jobs/queue/shares.py."""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.priorities import CLASSES, PriorityClass
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Account, Standing, TurnOrder, price_entry, reserve
from jobs.queue.turns import get_class

BEGIN = datetime(2026, 11, 26, tzinfo=UTC)


@dataclass
class SimulatedJob:
    """A job. Its times are seconds since the beginning; its use is in slot seconds, weighted by size."""

    team_id: str
    seconds: float
    expected_seconds: float
    priority_class: PriorityClass = PriorityClass.NORMAL
    posted_at: float = 0.0
    started_at: float | None = None
    # What its team had used when it started, with its earlier jobs counted in full.
    used_before: float = 0.0
    prepaid: float = 0.0


@dataclass
class SimulatedTeam:
    """A team whose jobs wait by class, the oldest first."""

    id: str
    weight: float
    account: Account
    waiting: dict[PriorityClass, deque[SimulatedJob]] = field(
        default_factory=lambda: {each: deque() for each in PriorityClass}
    )
    running: list[tuple[SimulatedJob, float]] = field(default_factory=list)
    # Not decayed; each run counts in full from its beginning.
    started_seconds: float = 0.0


class Simulation:
    """Slots of some sizes and teams of some weights; jobs may be posted at any time, and run for their `seconds`."""

    def __init__(self, weights: dict[str, float], slot_sizes: Sequence[float], rules: QueueRules) -> None:
        self.rules = rules
        self.now = 0.0
        self.teams = {
            team_id: SimulatedTeam(team_id, weight, Account(0, 0, BEGIN, rules.usage_half_life_seconds))
            for team_id, weight in weights.items()
        }
        self.slot_sizes = slot_sizes
        self.started: list[SimulatedJob] = []
        self._idle = list(range(len(slot_sizes)))
        self._posted: list[tuple[float, int, SimulatedJob]] = []
        self._ends: list[tuple[float, int, int, SimulatedJob]] = []
        self._number = 0
        self._standings: dict[str, Standing] = {}
        self._standings_at: tuple[float, int, int] | None = None

    @property
    def capacity(self) -> float:
        """Slot seconds per second."""
        return sum(self.slot_sizes)

    def get_share(self, team_id: str) -> float:
        return self.teams[team_id].weight / sum(team.weight for team in self.teams.values())

    def get_used(self, team_id: str) -> float:
        """The slot seconds used until now, not decayed."""
        team = self.teams[team_id]
        to_come = sum(size * (job.seconds - self.now + (job.started_at or 0.0)) for job, size in team.running)
        return team.started_seconds - to_come

    def get_standings(self) -> dict[str, Standing]:
        """The standings now; computed once for all jobs that are posted at one moment."""
        if self._standings_at != (self.now, len(self.started), len(self._ends)):
            self._standings_at = (self.now, len(self.started), len(self._ends))
            self._standings = {team.id: self._make_standing(team) for team in self.teams.values()}
        return self._standings

    def post(self, job: SimulatedJob) -> None:
        self._number += 1
        heapq.heappush(self._posted, (job.posted_at, self._number, job))

    def run(self, *, until: float = float("inf"), stop: Callable[[], bool] = lambda: False) -> None:
        """Run until nothing happens any more, until a time, or until `stop` returns true after a start."""
        while not stop():
            self._let_start(stop)
            next_at = min((queue[0][0] for queue in (self._posted, self._ends) if queue), default=None)
            if next_at is None or next_at > until:
                return
            self.now = next_at
            while self._ends and self._ends[0][0] <= self.now:
                self._end(*heapq.heappop(self._ends)[2:])
            while self._posted and self._posted[0][0] <= self.now:
                self._arrive(heapq.heappop(self._posted)[2])

    def _let_start(self, stop: Callable[[], bool]) -> None:
        for slot in sorted(self._idle):
            job = self._choose()
            if job is None or stop():
                return
            self._idle.remove(slot)
            team, size = self.teams[job.team_id], self.slot_sizes[slot]
            job.started_at, job.used_before = self.now, team.started_seconds
            team.started_seconds += size * job.seconds
            team.running.append((job, size))
            self.started.append(job)
            self._number += 1
            heapq.heappush(self._ends, (self.now + job.seconds, self._number, slot, job))

    def _choose(self) -> SimulatedJob | None:
        """The next job by the rule of jobs/queue/turns.find_next."""
        by_class: dict[PriorityClass, dict[str, deque[SimulatedJob]]] = {each: {} for each in CLASSES}
        for team in self.teams.values():
            for queue in team.waiting.values():
                if queue:
                    counts_as = get_class(
                        queue[0].priority_class, self._at(queue[0].posted_at), rules=self.rules, now=self._at(self.now)
                    )
                    # One that was raised goes by its age, which is above that of the others.
                    if queue[0].priority_class is not counts_as or team.id not in by_class[counts_as]:
                        by_class[counts_as][team.id] = queue
        if not any(by_class.values()):
            return None
        order = TurnOrder(self.get_standings().values())
        for queues in by_class.values():
            chosen = order.choose(queues.__contains__)
            if chosen is not None:
                return queues[chosen].popleft()
        return None

    def _make_standing(self, team: SimulatedTeam) -> Standing:
        now = self._at(self.now)
        account = team.account.as_of(now)
        reserved = sum(
            reserve(
                started_at=self._at(job.started_at or 0.0),
                expected_seconds=job.expected_seconds,
                size=size,
                now=now,
                half_life=account.half_life,
            )
            for job, size in team.running
        )
        return Standing(
            team.id, team.weight, account.usage_seconds + reserved, account.advance_seconds, len(team.running)
        )

    def _arrive(self, job: SimulatedJob) -> None:
        team = self.teams[job.team_id]
        standings = self.get_standings()
        rivals = [
            standings[each.id]
            for each in self.teams.values()
            if each is not team and (each.running or any(each.waiting.values()))
        ]
        job.prepaid = price_entry(standings[team.id], rivals, penalty=self.rules.entry_penalty_seconds)
        team.account = team.account.add_advance(job.prepaid, now=self._at(self.now))
        standings[team.id].advance_seconds += job.prepaid
        team.waiting[job.priority_class].append(job)

    def _end(self, slot: int, job: SimulatedJob) -> None:
        team = self.teams[job.team_id]
        size = self.slot_sizes[slot]
        team.running.remove((job, size))
        start, end = self._at(job.started_at or 0.0), self._at(self.now)
        account = team.account.add_run(started_at=start, ended_at=end, size=size)
        team.account = account.settle_advance(job.prepaid, paid_at=self._at(job.posted_at), now=end)
        self._idle.append(slot)

    @staticmethod
    def _at(seconds: float) -> datetime:
        return BEGIN + timedelta(seconds=seconds)
