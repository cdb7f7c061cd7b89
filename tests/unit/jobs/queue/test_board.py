"""The order in which the queue is shown is the order of the claims."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from jobs.database.engine import Database
from jobs.models import Job, Slot, Team
from jobs.priorities import PriorityClass
from jobs.queue.board import BoardKeeper, draw_board
from jobs.queue.forecast import LEAST_SECONDS, Place
from jobs.queue.reasons import WaitCode, explain
from jobs.queue.rules import QueueRules
from jobs.records import add_event
from jobs.runs import claims
from jobs.settings import GIB, Device
from jobs.status import JobStatus
from tests.support.queues import add_slot, add_team, add_waiting, begin_run, end_run

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
RULES = QueueRules()

many_databases = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

teams = st.lists(
    st.fixed_dictionaries(
        {
            "weight": st.sampled_from([0.5, 1.0, 3.0]),
            "usage_seconds": st.sampled_from([0.0, 500.0, 2000.0]),
            "advance_seconds": st.sampled_from([0.0, 60.0, 1000.0]),
            "usage_at": st.just(NOW - timedelta(hours=5)),
            "max_running": st.sampled_from([None, None, None, 0, 1, 2]),
            "max_slot_seconds": st.sampled_from([None, None, None, 700.0]),
        }
    ),
    min_size=1,
    max_size=4,
)
jobs = st.lists(
    st.fixed_dictionaries(
        {
            "priority_class": st.sampled_from(PriorityClass),
            "priority": st.integers(-1, 1),
            "needs_cuda": st.booleans(),
            "cpu_memory_bytes": st.sampled_from([None, 8 * GIB, 64 * GIB]),
            "cuda_memory_bytes": st.sampled_from([None, 8 * GIB, 64 * GIB]),
            "expected_seconds": st.sampled_from([None, 100.0, 400.0, 1000.0]),
            "created_at": st.sampled_from([NOW - timedelta(hours=1), NOW - timedelta(days=8)]),
            "held_at": st.sampled_from([None, None, None, NOW]),
            "prepaid_seconds": st.sampled_from([0.0, 60.0]),
            "pinned_rank": st.sampled_from([None, None, None, 1, 2]),
        }
    ),
    max_size=10,
)
slots = st.lists(
    st.fixed_dictionaries(
        {
            "device": st.sampled_from(["cpu", "cuda"]),
            "memory_bytes": st.sampled_from([None, 24 * GIB]),
            "size": st.sampled_from([1.0, 4.0]),
            "drained_at": st.sampled_from([None, None, None, NOW]),
            "blocked_reason": st.sampled_from([None, None, None, "full"]),
        }
    ),
    max_size=4,
)


@contextmanager
def fresh_session(migrated_file: Path) -> Iterator[Session]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "emotune.db"
        shutil.copy(migrated_file, path)
        database = Database(f"sqlite:///{path}")
        with database.write() as session:
            yield session
        database.close()


def make_queue(session: Session, data: st.DataObject) -> list[str]:
    """Make random teams, slots, and waiting and running jobs; return the slots' names."""
    team_ids = [add_team(session, f"team-{number}", **row).id for number, row in enumerate(data.draw(teams))]
    some_team = st.sampled_from(team_ids)
    names = []
    for number, row in enumerate(data.draw(slots)):
        name = f"slot-{number}"
        add_slot(session, name, NOW, **row)
        names.append(name)
        if data.draw(st.booleans()):
            expected = data.draw(st.sampled_from([20.0, 700.0]))
            job = add_waiting(session, data.draw(some_team), expected_seconds=expected, created_at=NOW)
            begin_run(session, job, name, NOW - timedelta(seconds=10), size=float(str(row["size"])))
    for row in data.draw(jobs):
        add_waiting(session, data.draw(some_team), **row)
    return names


def claim(session: Session, slot: str, now: datetime = NOW) -> Job | None:
    device: Device = "cuda" if session.get_one(Slot, slot).device == "cuda" else "cpu"
    return claims.claim_next(session, slot=slot, device=device, lease_seconds=60, rules=RULES, now=now)


@many_databases
@given(data=st.data())
def test_idle_slots_claim_what_the_board_says_in_its_order(migrated_file: Path, data: st.DataObject) -> None:
    with fresh_session(migrated_file) as session:
        names = make_queue(session, data)
        board = draw_board(session, rules=RULES, now=NOW)
        assert [place.position for place in board.places if place.position] == [
            number for number, place in enumerate(board.places, 1) if place.position
        ]
        starting = [place.job.id for place in board.places if place.starts_in == 0]
        claimed = [job.id for name in names if (job := claim(session, name)) is not None]
        assert claimed == starting
        assert all(explain(board, place, rules=RULES).message for place in board.by_id.values())


@settings(many_databases, max_examples=40)
@given(data=st.data())
def test_when_all_takes_as_long_as_expected_the_claims_go_on_as_foreseen(
    migrated_file: Path, data: st.DataObject
) -> None:
    with fresh_session(migrated_file) as session:
        names = make_queue(session, data)
        board = draw_board(session, rules=RULES, now=NOW)
        foreseen = [place.job.id for place in board.places if place.starts_in is not None]
        number, seconds = count(), 0.0
        running = [
            ((job.expected_seconds or 0.0) - 10, next(number), name, job)
            for name in names
            if (job := find_running(session, name)) is not None
        ]
        idle = [name for name in names if find_running(session, name) is None]
        claimed = []
        while True:
            for name in list(idle):
                job = claim(session, name, NOW + timedelta(seconds=seconds))
                if job is not None:
                    claimed.append(job.id)
                    idle.remove(name)
                    running.append((seconds + (job.expected_seconds or LEAST_SECONDS), next(number), name, job))
            if not running:
                break
            ended = min(running)
            running.remove(ended)
            seconds, _, name, job = ended
            end_run(session, job, NOW + timedelta(seconds=seconds))
            idle.append(name)
        assert claimed == foreseen


def find_running(session: Session, slot: str) -> Job | None:
    return session.query(Job).filter(Job.slot == slot, Job.status == JobStatus.RUNNING).one_or_none()


# Why a job waits


def place_of(session: Session, job: Job) -> Place:
    place = draw_board(session, rules=RULES, now=NOW).by_id[job.id]
    assert isinstance(place, Place)
    return place


def explain_job(session: Session, job: Job) -> tuple[str, str]:
    board = draw_board(session, rules=RULES, now=NOW)
    reason = explain(board, board.by_id[job.id], rules=RULES)
    return reason.code.value, reason.message


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        yield session


@pytest.fixture
def make_waiting(session: Session) -> Callable[..., Job]:
    """Return a function that queues a job of the named team."""
    ids: dict[str, str] = {}

    def make(team: str = "reds", **columns: Any) -> Job:
        if team not in ids:
            ids[team] = add_team(session, team).id
        return add_waiting(session, ids[team], **{"expected_seconds": 100.0, **columns})

    return make


def test_the_reasons_say_what_would_have_to_go_first(session: Session, make_waiting: Callable[..., Job]) -> None:
    jobs = [make_waiting() for _ in range(3)]
    assert explain_job(session, jobs[0])[0] == WaitCode.NO_SLOT
    add_slot(session, "slot-0", NOW)
    assert explain_job(session, jobs[0]) == ("starting", "a slot is free for it")
    begin_run(session, jobs[0], "slot-0", NOW)
    assert explain_job(session, jobs[1]) == ("no_free_slot", "no slot is free")
    assert explain_job(session, jobs[2]) == ("behind_team", "behind 1 job of your team")
    other = make_waiting("blues")
    assert place_of(session, other).position == 1
    assert explain_job(session, jobs[1]) == (
        "over_share",
        "behind 1 job of teams that have used less of their share than your team",
    )
    make_waiting("greens", priority_class=PriorityClass.URGENT)
    assert explain_job(session, other) == ("behind_class", "behind 1 job of a higher priority class")
    jobs[2].pinned_rank = 1
    session.flush()
    assert explain_job(session, other) == ("behind_pinned", "behind 1 job that the operator has moved to the front")
    assert place_of(session, jobs[2]).position == 1


def test_what_no_slot_can_run_says_what_is_missing(session: Session, make_waiting: Callable[..., Job]) -> None:
    add_slot(session, "slot-0", NOW, memory_bytes=8 * GIB)
    needy = make_waiting(needs_cuda=True)
    large = make_waiting(cpu_memory_bytes=24 * GIB, cuda_memory_bytes=30 * GIB)
    assert explain_job(session, needy) == ("no_cuda_slot", "no CUDA slot is open")
    assert explain_job(session, large) == ("no_memory", "no open slot has 24.0 GiB of memory for it")
    place = place_of(session, large)
    assert (place.position, place.starts_in) == (2, None)
    assert claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60, now=NOW) is None


def test_quotas_and_holds_are_reported(session: Session, make_waiting: Callable[..., Job]) -> None:
    add_slot(session, "slot-0", NOW)
    add_slot(session, "slot-1", NOW)
    first, second, held = (make_waiting() for _ in range(3))
    held.held_at, held.hold_reason = NOW, "the dataset is checked"
    team = session.get_one(Team, first.team_id)
    team.max_running = 1
    begin_run(session, first, "slot-0", NOW)
    assert explain_job(session, second) == ("quota_running", "quota: 1 of 1 jobs run")
    assert place_of(session, second).position == 1
    assert explain_job(session, held) == ("held", "held by the operator: the dataset is checked")
    team.max_running, team.max_slot_seconds = None, 100.0
    session.flush()
    assert explain_job(session, second) == (
        "quota_slot_seconds",
        "quota: 100 of 100 slot seconds are used within 7 days",
    )
    assert place_of(session, second).position is None


def test_a_drained_or_blocked_slot_takes_no_job(session: Session, make_waiting: Callable[..., Job]) -> None:
    job = make_waiting()
    slot = add_slot(session, "slot-0", NOW, drained_at=NOW)
    assert claim(session, "slot-0") is None
    slot.drained_at, slot.blocked_reason = None, "somebody else holds its memory"
    assert claim(session, "slot-0") is None
    assert explain_job(session, job)[0] == WaitCode.NO_SLOT
    slot.blocked_reason = None
    assert claim(session, "slot-0") == job


def test_a_job_that_only_blocked_slots_could_run_says_why_they_are_blocked(
    session: Session, make_waiting: Callable[..., Job]
) -> None:
    small, needy, large = make_waiting(), make_waiting(needs_cuda=True), make_waiting(cpu_memory_bytes=24 * GIB)
    large.cuda_memory_bytes = 30 * GIB
    add_slot(session, "gone", NOW - timedelta(hours=1), blocked_reason="It is of last week.")
    add_slot(session, "shut", NOW, blocked_reason="It is somebody's.", drained_at=NOW)
    add_slot(session, "gpu", NOW, device="cuda", memory_bytes=80 * GIB, blocked_reason="The GPU is in use.")
    assert explain_job(session, small) == ("no_slot", "no slot is open: gpu is blocked: The GPU is in use")
    add_slot(session, "cpu", NOW, memory_bytes=8 * GIB)
    assert explain_job(session, small)[0] == WaitCode.STARTING
    assert explain_job(session, needy) == ("no_cuda_slot", "no CUDA slot is open: gpu is blocked: The GPU is in use")
    assert explain_job(session, large) == (
        "no_memory",
        "no open slot has 24.0 GiB of memory for it: gpu is blocked: The GPU is in use",
    )


def test_a_job_of_the_lowest_class_that_waited_long_goes_among_the_normal_ones(
    session: Session, make_waiting: Callable[..., Job]
) -> None:
    normal = make_waiting()
    low = make_waiting(priority_class=PriorityClass.LOW, created_at=NOW - timedelta(days=6), priority=1)
    assert [place_of(session, job).position for job in (normal, low)] == [1, 2]
    low.created_at = NOW - timedelta(days=8)
    session.flush()
    assert [place_of(session, job).position for job in (normal, low)] == [2, 1]


def test_a_short_queue_is_shown_as_it_is_and_kept_while_nothing_happens(
    session: Session, make_waiting: Callable[..., Job]
) -> None:
    keeper = BoardKeeper(RULES)
    for number in range(1, 4):
        add_event(session, job_id=make_waiting().id, attempt=0, kind="queued", message="")
        session.flush()
        board = keeper.get_board(session)
        assert len(board.places) == number
        assert keeper.get_board(session) is board
    keeper.forget()
    assert keeper.get_board(session) is not board


def test_a_long_queue_is_kept_for_a_moment_and_drawn_again_for_a_job_that_it_lacks(
    session: Session, make_waiting: Callable[..., Job]
) -> None:
    keeper = BoardKeeper(RULES)
    for _ in range(600):
        make_waiting()
    board = keeper.get_board(session)
    assert keeper.get_board(session) is board
    job = make_waiting()
    assert job.id in keeper.get_board(session, job_id=job.id).by_id
