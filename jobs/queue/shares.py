"""Shares: the decayed usage of teams, and whose turn it is by that. Pure.

A second on a slot counts as the size of the slot, and half as much after each half-life. docs/decisions/0009 has the
reasons.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

# The remaining time of a running job counts at most this many half-lives ahead, so that the numbers stay finite.
MAX_AHEAD_HALF_LIVES = 16

# Shares are compared in microseconds, so that rounding errors of floating-point sums do not decide.
SHARE_DIGITS = 6


def decay(seconds: float, *, elapsed: float, half_life: float) -> float:
    """What remains of `seconds` after `elapsed` seconds; all of it if the clock went backwards."""
    return seconds * math.exp2(-max(elapsed, 0.0) / half_life)


def accumulate(duration: float, *, since_end: float, half_life: float) -> float:
    """What remains now of `duration` seconds of even use that ended `since_end` seconds ago: the integral of the decay.

    A negative `since_end` means that the use ends in the future; it then counts more than its duration.
    """
    rate = math.log(2) / half_life
    since_end = max(since_end, -MAX_AHEAD_HALF_LIVES * half_life)
    return math.exp(-since_end * rate) * -math.expm1(-max(duration, 0.0) * rate) / rate


@dataclass(frozen=True)
class Account:
    """A team's decayed slot seconds at a moment: of its ended runs, and the advances of its waiting jobs."""

    usage_seconds: float
    advance_seconds: float
    at: datetime | None
    half_life: float

    def as_of(self, now: datetime) -> "Account":
        if self.at is None:
            return replace(self, at=now)
        left = decay(1.0, elapsed=(now - self.at).total_seconds(), half_life=self.half_life)
        return Account(self.usage_seconds * left, self.advance_seconds * left, max(now, self.at), self.half_life)

    def add_run(self, *, started_at: datetime, ended_at: datetime, size: float) -> "Account":
        """Charge a run that has ended."""
        account = self.as_of(ended_at)
        # The account may be as of a later time, where another host's clock is ahead.
        since_end = (account.at - ended_at).total_seconds() if account.at else 0.0
        duration = (ended_at - started_at).total_seconds()
        used = size * accumulate(duration, since_end=since_end, half_life=self.half_life)
        return replace(account, usage_seconds=account.usage_seconds + used)

    def add_advance(self, seconds: float, *, now: datetime) -> "Account":
        account = self.as_of(now)
        return replace(account, advance_seconds=account.advance_seconds + seconds)

    def settle_advance(self, seconds: float, *, paid_at: datetime, now: datetime) -> "Account":
        """Give back what remains of an advance."""
        account = self.as_of(now)
        left = decay(seconds, elapsed=(now - paid_at).total_seconds(), half_life=self.half_life)
        return replace(account, advance_seconds=max(account.advance_seconds - left, 0.0))


def reserve(*, started_at: datetime, expected_seconds: float, size: float, now: datetime, half_life: float) -> float:
    """The slot seconds that a running job counts now: those it has used, and those it is still expected to use.

    Without the latter, a team could take every slot that becomes free before the first of its jobs has used anything.
    As long as jobs take as long as expected, the order of two teams does not change merely because time passes.
    """
    elapsed = max((now - started_at).total_seconds(), 0.0)
    duration = max(elapsed, min(expected_seconds, elapsed + MAX_AHEAD_HALF_LIVES * half_life))
    return size * accumulate(duration, since_end=elapsed - duration, half_life=half_life)


@dataclass
class Standing:
    """The usage and quotas of a team at one moment."""

    team_id: str
    weight: float = 1.0
    # Decayed usage of ended and running jobs.
    usage_seconds: float = 0.0
    # Decayed advances of waiting jobs.
    advance_seconds: float = 0.0
    running_count: int = 0
    max_running: int | None = None
    # Slot seconds within the quota's window, not decayed, and their limit.
    window_seconds: float = 0.0
    max_slot_seconds: float | None = None

    @property
    def charged(self) -> float:
        """Decayed slot seconds, advances included, divided by weight: the team with the least is next."""
        return round((self.usage_seconds + self.advance_seconds) / self.weight, SHARE_DIGITS)

    @property
    def is_bounded(self) -> bool:
        return self.max_running is not None or self.max_slot_seconds is not None

    @property
    def may_run(self) -> bool:
        """Whether its quotas allow one more job to start."""
        if self.max_running is not None and self.running_count >= self.max_running:
            return False
        return self.max_slot_seconds is None or self.window_seconds < self.max_slot_seconds


def price_entry(own: Standing, rivals: Collection[Standing], *, penalty: float) -> float:
    """Slot seconds that a job is charged in advance when it is posted: up to `penalty`.

    It removes the lead over its rivals, the teams with jobs, that a team has gained by being idle, so that a burst of
    jobs uses the lead up. Beyond the lead nothing is charged: a debt would keep a team with many waiting jobs from its
    share.
    """
    weight = sum(rival.weight for rival in rivals)
    if not weight:
        return 0.0
    level = sum(rival.usage_seconds + rival.advance_seconds for rival in rivals) / weight
    lead = level * own.weight - own.usage_seconds - own.advance_seconds
    return min(max(lead, 0.0), penalty)


class TurnOrder:
    """The teams, kept in the order of their turns while they claim jobs."""

    def __init__(self, standings: Iterable[Standing]) -> None:
        self._standings = {standing.team_id: standing for standing in standings}
        self._keys = {team_id: _make_key(standing) for team_id, standing in self._standings.items()}
        self._order = sorted(self._keys.values())

    def __getitem__(self, team_id: str) -> Standing:
        return self._standings[team_id]

    def choose(self, is_candidate: Callable[[str], bool]) -> str | None:
        """The team whose turn it is; None where there is no candidate."""
        return next((key[-1] for key in self._order if is_candidate(key[-1])), None)

    def note_start(self, team_id: str, *, usage_seconds: float, window_seconds: float) -> None:
        """Record that a job of the team has started, with the slot seconds that it counts."""
        standing = self._take_out(team_id)
        standing.running_count += 1
        standing.usage_seconds += usage_seconds
        standing.window_seconds += window_seconds
        self._put_in(standing)

    def note_end(self, team_id: str, *, advance_seconds: float) -> None:
        """Record that a job of the team has ended as expected, and settle its advance."""
        standing = self._take_out(team_id)
        standing.running_count -= 1
        standing.advance_seconds = max(standing.advance_seconds - advance_seconds, 0.0)
        self._put_in(standing)

    def _take_out(self, team_id: str) -> Standing:
        del self._order[bisect_left(self._order, self._keys[team_id])]
        return self._standings[team_id]

    def _put_in(self, standing: Standing) -> None:
        key = self._keys[standing.team_id] = _make_key(standing)
        insort(self._order, key)


def _make_key(standing: Standing) -> tuple[float, float, str]:
    # Among equally charged teams, the one that runs less for its weight is next, so that none takes all slots at once.
    return standing.charged, standing.running_count / standing.weight, standing.team_id
