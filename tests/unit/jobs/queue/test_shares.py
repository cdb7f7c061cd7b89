"""The mathematics of fair shares."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.queue.shares import Account, Standing, TurnOrder, accumulate, decay, price_entry, reserve

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HALF_LIFE = 24 * 3600.0


def near(expected: float, rel: float = 1e-9, abs: float = 1e-5) -> Any:  # noqa: A002  pytest's word
    """Compare with a tolerance of at least 10 microseconds: moments are exact to one."""
    return pytest.approx(expected, rel=rel, abs=abs)


seconds = st.floats(0, 1e7)
half_lives = st.floats(60, 1e7)
spans = st.integers(0, 10**7).map(lambda value: timedelta(seconds=value))
sizes = st.floats(0.1, 10)


@given(seconds, seconds, seconds, half_lives)
def test_decay_composes(used: float, first: float, second: float, half_life: float) -> None:
    at_once = decay(used, elapsed=first + second, half_life=half_life)
    in_two = decay(decay(used, elapsed=first, half_life=half_life), elapsed=second, half_life=half_life)
    assert in_two == near(at_once, rel=1e-9)
    assert 0 <= at_once <= used


def test_half_of_it_is_left_after_a_half_life_and_a_clock_that_went_back_changes_nothing() -> None:
    assert decay(100, elapsed=HALF_LIFE, half_life=HALF_LIFE) == 50
    assert decay(100, elapsed=-5, half_life=HALF_LIFE) == 100


@given(st.floats(0, 1e6), st.floats(0, 1e6), half_lives)
def test_what_is_used_evenly_is_the_sum_of_its_moments(duration: float, since_end: float, half_life: float) -> None:
    parts = 1000
    step = duration / parts
    middles = (since_end + (number + 0.5) * step for number in range(parts))
    # With half-lives much longer than a step, the sum is close to the integral.
    if step * 20 < half_life:
        summed = math.fsum(decay(step, elapsed=middle, half_life=half_life) for middle in middles)
        assert accumulate(duration, since_end=since_end, half_life=half_life) == near(summed, rel=1e-3)


@given(spans, spans, spans, sizes, half_lives)
def test_charging_a_run_in_two_parts_equals_charging_it_at_once(
    first: timedelta, second: timedelta, later: timedelta, size: float, half_life: float
) -> None:
    start, middle, end = NOW, NOW + first, NOW + first + second
    empty = Account(0, 0, None, half_life)
    whole = empty.add_run(started_at=start, ended_at=end, size=size).as_of(end + later)
    in_parts = (
        empty.add_run(started_at=start, ended_at=middle, size=size)
        .add_run(started_at=middle, ended_at=end, size=size)
        .as_of(end + later)
    )
    assert in_parts.usage_seconds == near(whole.usage_seconds)


@given(spans, spans, sizes)
def test_what_ran_counts_no_more_than_it_took(duration: timedelta, later: timedelta, size: float) -> None:
    account = Account(0, 0, NOW, HALF_LIFE).add_run(started_at=NOW, ended_at=NOW + duration, size=size)
    used = account.as_of(NOW + duration + later).usage_seconds
    assert 0 <= used <= size * duration.total_seconds() * (1 + 1e-9)


@given(spans, spans, sizes)
def test_it_does_not_matter_whose_clock_is_ahead(duration: timedelta, ahead: timedelta, size: float) -> None:
    """A run that ended before the account's moment is charged with what has not decayed by then."""
    late = Account(0, 0, NOW + duration + ahead, HALF_LIFE).add_run(started_at=NOW, ended_at=NOW + duration, size=size)
    early = Account(0, 0, NOW, HALF_LIFE).add_run(started_at=NOW, ended_at=NOW + duration, size=size)
    assert late.usage_seconds == near(early.as_of(NOW + duration + ahead).usage_seconds)


changes = st.lists(st.tuples(st.sampled_from(["run", "advance", "settle"]), spans, st.floats(0, 1e6)), max_size=20)


@given(changes)
def test_an_account_is_never_negative(steps: list[tuple[str, timedelta, float]]) -> None:
    account, now = Account(0, 0, None, HALF_LIFE), NOW
    for kind, span, amount in steps:
        if kind == "run":
            account = account.add_run(started_at=now, ended_at=now + span, size=amount)
        elif kind == "advance":
            account = account.add_advance(amount, now=now + span)
        else:
            account = account.settle_advance(amount, paid_at=now, now=now + span)
        now += span
        assert account.usage_seconds >= 0
        assert account.advance_seconds >= 0


@given(st.lists(spans, min_size=1, max_size=10), spans)
def test_advances_that_are_all_settled_leave_nothing(waits: list[timedelta], later: timedelta) -> None:
    account = Account(0, 0, None, HALF_LIFE)
    moments, now = [], NOW
    for wait in waits:
        now += wait
        moments.append(now)
        account = account.add_advance(60, now=now)
    for paid_at in moments:
        account = account.settle_advance(60, paid_at=paid_at, now=now + later)
    assert account.advance_seconds == near(0, abs=1e-6)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6), sizes)
def test_a_running_job_counts_alike_until_it_has_taken_what_was_expected(
    expected: float, share_now: float, share_later: float, size: float
) -> None:
    """Everything decays alike.

    As long as the expectation holds, the count only decays, and two teams keep their order.
    """
    now = NOW + timedelta(seconds=min(share_now, expected))
    later = max(now, NOW + timedelta(seconds=min(share_later, expected)))
    first, second = (
        reserve(started_at=NOW, expected_seconds=expected, size=size, now=moment, half_life=HALF_LIFE)
        for moment in (now, later)
    )
    between = (later - now).total_seconds()
    assert second == near(decay(first, elapsed=between, half_life=HALF_LIFE))


@given(spans, sizes)
def test_a_run_that_ended_as_expected_is_charged_as_it_was_reserved(duration: timedelta, size: float) -> None:
    end = NOW + duration
    reserved = reserve(
        started_at=NOW, expected_seconds=duration.total_seconds(), size=size, now=end, half_life=HALF_LIFE
    )
    charged = Account(0, 0, None, HALF_LIFE).add_run(started_at=NOW, ended_at=end, size=size)
    assert charged.usage_seconds == near(reserved)


def test_a_wild_expectation_is_a_finite_number() -> None:
    assert math.isfinite(reserve(started_at=NOW, expected_seconds=1e300, size=1, now=NOW, half_life=60))
    assert math.isfinite(accumulate(1e300, since_end=-1e300, half_life=60))


# Whose turn it is

standings = st.lists(
    st.builds(
        Standing,
        team_id=st.uuids().map(str),
        weight=st.sampled_from([0.5, 1.0, 2.0]),
        usage_seconds=st.sampled_from([0.0, 10.0, 100.0, 100.5]),
        advance_seconds=st.sampled_from([0.0, 60.0, 600.0]),
        running_count=st.integers(0, 2),
    ),
    max_size=6,
)


@given(standings, st.data())
def test_the_candidate_that_is_charged_least_by_weight_is_next(teams: list[Standing], data: st.DataObject) -> None:
    candidates = {team.team_id for team in teams if data.draw(st.booleans())}
    by_rule = sorted(
        ((team.usage_seconds + team.advance_seconds) / team.weight, team.running_count / team.weight, team.team_id)
        for team in teams
        if team.team_id in candidates
    )
    assert TurnOrder(teams).choose(candidates.__contains__) == (by_rule[0][-1] if by_rule else None)


@given(standings, st.sampled_from([0.0, 60.0]), st.integers(1, 30))
def test_advances_bring_a_team_up_to_its_rivals_and_no_further(
    rivals: list[Standing], penalty: float, job_count: int
) -> None:
    weight = sum(rival.weight for rival in rivals)
    level = sum(rival.usage_seconds + rival.advance_seconds for rival in rivals) / weight if rivals else 0.0
    own = Standing("own", weight=2.0)
    for _ in range(job_count):
        price = price_entry(own, rivals, penalty=penalty)
        assert 0 <= price <= penalty
        own.advance_seconds += price
    assert own.advance_seconds == pytest.approx(min(job_count * penalty, 2 * level))


def test_teams_that_start_and_end_jobs_stay_in_order() -> None:
    order = TurnOrder([Standing("a"), Standing("b", weight=2.0)])
    everyone = {"a", "b"}.__contains__
    taken = []
    for _ in range(6):
        team_id = order.choose(everyone)
        assert team_id is not None
        order.note_start(team_id, usage_seconds=100, window_seconds=100)
        taken.append(team_id)
    assert sorted(taken) == ["a", "a", "b", "b", "b", "b"]
    order.note_end("a", advance_seconds=0)
    assert order["a"].running_count == 1
