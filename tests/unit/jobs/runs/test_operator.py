"""The operator's verbs."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy.orm import Session

from jobs import records
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import JobNotFound, JobNotWaiting
from jobs.models import Job
from jobs.priorities import PriorityClass
from jobs.queue.board import HeldJob, draw_board
from jobs.queue.forecast import Place
from jobs.queue.rules import QueueRules
from jobs.runs import claims
from jobs.runs import operator as operators
from jobs.status import JobStatus
from tests.support.queues import add_slot, add_team, add_waiting

RULES = QueueRules()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        add_slot(session, "slot-0", utc_now())
        yield session


@pytest.fixture
def jobs(session: Session) -> list[Job]:
    """Five jobs of two teams, in the order of their turns."""
    teams = [add_team(session, name).id for name in ("reds", "blues")]
    for number in range(5):
        add_waiting(session, teams[number % 2], expected_seconds=100.0)
    return [session.get_one(Job, place.job.id) for place in draw_board(session, rules=RULES).places]


def list_order(session: Session) -> list[str]:
    session.flush()
    return [place.job.id for place in draw_board(session, rules=RULES).places if place.position is not None]


def claim(session: Session, slot: str = "slot-0") -> Job | None:
    return claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)


def list_kinds(session: Session, job: Job) -> list[str]:
    session.flush()
    return [event.kind for event in records.list_events(session, job_id=job.id, after=0, limit=10)]


def test_a_held_job_waits_with_its_reason_until_it_is_released(session: Session, jobs: list[Job]) -> None:
    first = jobs[0]
    operators.hold_job(session, job_id=first.id, reason="the dataset is checked")
    operators.hold_job(session, job_id=first.id, reason="still checked")
    session.flush()
    place = draw_board(session, rules=RULES).by_id[first.id]
    assert place == HeldJob(first.id, first.team_id, "still checked")
    order = list_order(session)
    assert set(order) == {job.id for job in jobs[1:]}
    claimed = claim(session)
    assert claimed is not None
    assert claimed.id == order[0]
    for _ in range(2):
        operators.release_job(session, job_id=first.id)
    assert list_kinds(session, first) == ["held", "held", "released"]
    assert isinstance(draw_board(session, rules=RULES).by_id[first.id], Place)


def test_all_that_waits_may_be_held(session: Session, jobs: list[Job]) -> None:
    for job in jobs:
        operators.hold_job(session, job_id=job.id, reason="later")
    session.flush()
    assert claim(session) is None


@pytest.mark.parametrize("position", [1, 2, 3, 5, 50])
def test_a_moved_job_gets_its_place_and_those_before_it_keep_theirs(
    session: Session, jobs: list[Job], position: int
) -> None:
    before = list_order(session)
    moved = jobs[3]
    operators.move_job(session, job_id=moved.id, position=position, rules=RULES)
    others = [job_id for job_id in before if job_id != moved.id]
    place = min(position, len(before)) - 1
    after = list_order(session)
    assert after[: place + 1] == [*others[:place], moved.id]
    assert set(after) == set(before)
    # The place is kept whatever jobs are posted later, of whatever class.
    add_waiting(session, add_team(session, "late").id, priority_class=PriorityClass.URGENT)
    assert list_order(session)[: place + 1] == after[: place + 1]


def test_moving_again_keeps_the_pinned_ones_in_order(session: Session, jobs: list[Job]) -> None:
    operators.move_job(session, job_id=jobs[4].id, position=1, rules=RULES)
    operators.move_job(session, job_id=jobs[3].id, position=1, rules=RULES)
    assert list_order(session)[:2] == [jobs[3].id, jobs[4].id]
    operators.move_job(session, job_id=jobs[3].id, position=None, rules=RULES)
    operators.move_job(session, job_id=jobs[3].id, position=None, rules=RULES)
    assert list_order(session)[0] == jobs[4].id
    assert jobs[3].pinned_rank is None
    assert list_kinds(session, jobs[3]) == ["moved", "moved"]
    assert claim(session) == jobs[4]


def test_only_what_waits_can_be_held_or_moved(session: Session, jobs: list[Job]) -> None:
    running = claim(session)
    assert running is not None
    verbs: list[Callable[[str], object]] = [
        lambda job_id: operators.hold_job(session, job_id=job_id, reason="x"),
        lambda job_id: operators.release_job(session, job_id=job_id),
        lambda job_id: operators.move_job(session, job_id=job_id, position=1, rules=RULES),
    ]
    for verb in verbs:
        with pytest.raises(JobNotWaiting, match="running"):
            verb(running.id)
        with pytest.raises(JobNotFound):
            verb("job_unknown")
    assert session.get_one(Job, running.id).status is JobStatus.RUNNING


def test_any_job_is_found_by_the_operator(session: Session, jobs: list[Job]) -> None:
    assert operators.get_any_job(session, job_id=jobs[0].id) == jobs[0]
    with pytest.raises(JobNotFound):
        operators.get_any_job(session, job_id="job_unknown")
