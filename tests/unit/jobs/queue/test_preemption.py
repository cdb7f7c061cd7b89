"""Which running job has to leave its slot, and for which waiting job."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from jobs.database.engine import Database
from jobs.models import Job, Slot, Team
from jobs.priorities import PriorityClass
from jobs.queue.forecast import Place, WaitingJob
from jobs.queue.offers import Offer
from jobs.queue.preemption import RunningJob, SlotInUse, choose_victims, find_preemption
from jobs.queue.shares import Standing
from jobs.settings import GIB, Device
from jobs.status import StopKind
from tests.support.queues import add_slot, add_team, add_waiting, begin_run

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
LOW, NORMAL, URGENT = PriorityClass


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        add_team(session, "reds")
        yield session


@pytest.fixture
def wait(session: Session) -> Callable[..., Job]:
    team_id = session.query(Team).one().id
    return lambda **columns: add_waiting(session, team_id, **{"created_at": NOW, **columns})


@pytest.fixture
def run(session: Session, wait: Callable[..., Job]) -> Callable[..., Job]:
    """Return a function that makes a job run on a slot of its own, since some minutes ago."""

    def run(slot: str, *, minutes: int = 10, device: Device = "cpu", **columns: Any) -> Job:
        add_slot(session, slot, NOW, device=device, memory_bytes=24 * GIB)
        job = wait(**columns)
        begin_run(session, job, slot, NOW - timedelta(minutes=minutes))
        return job

    return run


def find(session: Session) -> list[str]:
    session.flush()
    return find_preemption(session, seen_within_seconds=30, now=NOW)


def test_of_the_lowest_class_the_one_that_started_last_gives_way(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    run("slot-0", priority_class=NORMAL, minutes=1)
    run("slot-1", priority_class=LOW, minutes=30)
    young = run("slot-2", priority_class=LOW, minutes=20)
    assert find(session) == []
    wait(priority_class=URGENT)
    assert find(session) == [young.id]


def test_each_job_takes_one_slot_and_equals_are_left_alone(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    low, normal = run("slot-0", priority_class=LOW), run("slot-1", priority_class=NORMAL)
    wait(priority_class=NORMAL)
    wait(priority_class=NORMAL)
    assert find(session) == [low.id]
    for _ in range(3):
        wait(priority_class=URGENT)
    assert find(session) == [low.id, normal.id]


def test_a_slot_that_is_free_or_about_to_be_is_enough(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    low = run("slot-0", priority_class=LOW)
    other = run("slot-1", priority_class=LOW, minutes=60)
    wait(priority_class=URGENT)
    low.stop_kind, low.stop_requested_at = StopKind.PREEMPT, NOW
    assert find(session) == []
    wait(priority_class=URGENT)
    assert find(session) == [other.id]
    add_slot(session, "slot-2", NOW)
    assert find(session) == []


@pytest.mark.parametrize(
    "away", [{"drained_at": NOW}, {"blocked_reason": "full"}, {"seen_at": NOW - timedelta(minutes=1)}]
)
def test_slots_that_take_no_job_neither_help_nor_are_emptied(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job], away: dict[str, Any]
) -> None:
    low = run("slot-0", priority_class=LOW)
    add_slot(session, "slot-1", NOW, **{key: value for key, value in away.items() if key != "seen_at"})
    session.get_one(Slot, "slot-1").seen_at = away.get("seen_at", NOW)
    wait(priority_class=URGENT)
    assert find(session) == [low.id]
    for key, value in away.items():
        setattr(session.get_one(Slot, "slot-0"), key, value)
    assert find(session) == []


def test_only_a_slot_that_it_fits_is_worth_emptying(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    run("slot-0", priority_class=LOW, minutes=1)
    wait(priority_class=URGENT, needs_cuda=True)
    assert find(session) == []
    gpu = run("gpu-0", priority_class=LOW, device="cuda")
    assert find(session) == [gpu.id]
    wait(priority_class=URGENT, cpu_memory_bytes=64 * GIB, cuda_memory_bytes=64 * GIB)
    assert find(session) == [gpu.id]


def test_what_is_held_or_over_its_quota_takes_nothing(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    low = run("slot-0", priority_class=LOW)
    urgent = wait(priority_class=URGENT)
    urgent.held_at = NOW
    assert find(session) == []
    urgent.held_at = None
    session.query(Team).one().max_running = 1
    assert find(session) == []
    session.query(Team).one().max_running = 2
    assert find(session) == [low.id]


def test_what_the_operator_has_pinned_is_left_alone_and_goes_first(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    low = run("slot-0", priority_class=LOW)
    wait(priority_class=URGENT)
    pinned = wait(priority_class=LOW, pinned_rank=1)
    assert find(session) == [], "the slot would go to the pinned job"
    pinned.pinned_rank, low.pinned_rank = None, 1
    assert find(session) == [], "the pinned job would take the slot again at once"


def test_a_low_job_that_waited_long_is_as_good_as_a_normal_one(
    session: Session, run: Callable[..., Job], wait: Callable[..., Job]
) -> None:
    low = run("slot-0", priority_class=LOW, created_at=NOW - timedelta(days=8))
    wait(priority_class=NORMAL)
    assert find(session) == []
    wait(priority_class=URGENT)
    assert find(session) == [low.id]


ranks = st.sampled_from([0, 1, 2])
slots = st.lists(st.tuples(st.sampled_from(["cpu", "cuda"]), st.one_of(st.none(), ranks), st.booleans()), max_size=5)
waiting = st.lists(st.tuples(st.sampled_from(PriorityClass), st.booleans()), max_size=6)


@given(slots, waiting)
def test_jobs_give_way_only_to_a_higher_class_and_a_second_look_names_no_others(
    rows: list[tuple[Device, int | None, bool]], queue: list[tuple[PriorityClass, bool]]
) -> None:
    def make_slots(asked: list[str]) -> list[SlotInUse]:
        def find_stop(number: int, is_stopping: bool) -> datetime | None:
            if is_stopping:
                return NOW - timedelta(seconds=1)
            return NOW + timedelta(seconds=asked.index(str(number))) if str(number) in asked else None

        return [
            SlotInUse(
                Offer(device),
                None
                if rank is None
                else RunningJob(str(number), rank, NOW, stopping_since=find_stop(number, is_stopping)),
            )
            for number, (device, rank, is_stopping) in enumerate(rows)
        ]

    jobs = [
        WaitingJob(f"job_{number}", "reds", each, needs_cuda=needs_cuda)
        for number, (each, needs_cuda) in enumerate(queue)
    ]
    places = [Place(job, number) for number, job in enumerate(jobs, start=1)]
    chosen = choose_victims(places, make_slots([]), [Standing("reds")])
    assert len(chosen) == len(set(chosen)) <= len(jobs)
    highest = max((each.rank for each, _ in queue), default=-1)
    for victim in chosen:
        _, rank, is_stopping = rows[int(victim)]
        assert rank is not None
        assert rank < highest
        assert not is_stopping
    assert choose_victims(places, make_slots(chosen), [Standing("reds")]) == []
