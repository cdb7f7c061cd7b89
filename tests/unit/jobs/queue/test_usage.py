"""The charges of teams, on the real schema."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import Dataset, Job, Run, Slot, Team
from jobs.queue import usage
from jobs.queue.rules import QueueRules
from jobs.queue.shares import accumulate
from jobs.runs import claims, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from tests.support.posting import post_job
from tests.support.queues import add_slot, add_team, add_waiting, begin_run, end_run
from tests.unit.conftest import TestTeam

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = QueueRules()


@pytest.fixture
def session(database: Database, dataset: Dataset, other_team: TestTeam) -> Iterator[Session]:
    """A session that begins after the fixtures that write.

    Another team has used so much that every job pays its advance.
    """
    with database.write() as session:
        add_team(session, "rivals", usage_seconds=1e6, usage_at=NOW)
        yield session


def post(session: Session, dataset: Dataset, *, now: datetime = NOW, rules: QueueRules = RULES) -> Job:
    return post_job(session, dataset, rules=rules, now=now)


def read_account(session: Session, team_id: str, now: datetime) -> tuple[float, float]:
    """Return the usage and the advances of a team, in slot seconds."""
    session.flush()
    session.expire_all()
    account = usage.get_account(session.get_one(Team, team_id)).as_of(now)
    return account.usage_seconds, account.advance_seconds


def test_a_run_that_ends_is_charged_once_with_the_size_of_its_slot(session: Session, team: TestTeam) -> None:
    job = add_waiting(session, team.id, expected_seconds=100.0)
    begin_run(session, job, "gpu-0", NOW, size=4.0)
    end_run(session, job, NOW + HOUR)
    half_life = RULES.usage_half_life_seconds
    used, _ = read_account(session, team.id, NOW + HOUR)
    assert used == pytest.approx(4 * accumulate(3600, since_end=0, half_life=half_life))
    later, _ = read_account(session, team.id, NOW + HOUR + timedelta(seconds=half_life))
    assert later == pytest.approx(used / 2)
    assert session.get_one(Run, (job.id, 1)).slot_seconds == 4 * 3600


def test_a_verb_that_ends_a_run_charges_it_in_the_same_transaction(session: Session, dataset: Dataset) -> None:
    add_slot(session, "slot-0", NOW, size=2.0)
    post(session, dataset)
    job = claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    assert job is not None
    session.get_one(Run, (job.id, 1)).started_at -= HOUR
    before = read_account(session, dataset.team_id, NOW)
    with session.begin_nested() as savepoint:
        run_ends.fail(session, job_id=job.id, attempt=1, end=RunEnd(1, "x", "x"))
        used, advance = read_account(session, dataset.team_id, utc_now())
        savepoint.rollback()
    assert used == pytest.approx(7200, rel=0.05)
    assert advance == pytest.approx(0, abs=1e-6)
    assert read_account(session, dataset.team_id, NOW) == before


def test_a_waiting_job_counts_until_its_first_run_has_ended(session: Session, dataset: Dataset) -> None:
    jobs = [post(session, dataset) for _ in range(3)]
    assert read_account(session, dataset.team_id, NOW) == (0, 180)
    begin_run(session, jobs[0], "slot-0", NOW + HOUR)
    end_run(session, jobs[0], NOW + 2 * HOUR)
    # The advances of the other two jobs are left.
    _, advance = read_account(session, dataset.team_id, NOW + 2 * HOUR)
    assert advance == pytest.approx(120 * 0.5 ** (2 / 24))
    begin_run(session, jobs[0], "slot-0", NOW + 3 * HOUR)
    end_run(session, jobs[0], NOW + 3 * HOUR)
    assert read_account(session, dataset.team_id, NOW + 2 * HOUR)[1] == pytest.approx(advance, rel=0.05)


def test_a_team_that_is_ahead_of_nobody_pays_nothing(session: Session, dataset: Dataset, other_team: TestTeam) -> None:
    session.query(Team).filter(Team.name == "rivals").one().usage_seconds = 100
    # Teams with jobs are the rivals; where no team has one, the team that has used the most is the rival.
    assert [post(session, dataset).prepaid_seconds for _ in range(3)] == pytest.approx([60, 40, 0])
    add_waiting(session, other_team.id)
    assert post(session, dataset).prepaid_seconds == 0


def test_a_job_that_is_cancelled_before_its_first_run_costs_nothing(session: Session, dataset: Dataset) -> None:
    kept, given_up = (post(session, dataset, now=utc_now()) for _ in range(2))
    for _ in range(2):
        stops.request_cancel(session, team_id=dataset.team_id, job_id=given_up.id)
    session.flush()
    session.expire_all()
    assert (kept.prepaid_seconds, given_up.prepaid_seconds) == (60, 0)
    _, advance = read_account(session, dataset.team_id, utc_now())
    assert advance == pytest.approx(60, rel=1e-2)


def test_running_jobs_count_with_what_they_are_expected_to_use(session: Session, team: TestTeam) -> None:
    job = add_waiting(session, team.id, expected_seconds=3600.0)
    begin_run(session, job, "slot-0", NOW, size=2.0)
    at_once, late, over = (
        usage.load_standings(session, rules=RULES, now=NOW + hours * HOUR)[team.id] for hours in (0, 0.9, 3)
    )
    assert at_once.usage_seconds == pytest.approx(7200, rel=0.05)
    assert late.usage_seconds == pytest.approx(7200, rel=0.05)
    assert over.usage_seconds == pytest.approx(3 * 7200, rel=0.05)
    assert (at_once.running_count, at_once.window_seconds, over.window_seconds) == (1, 7200, 3 * 7200)


def test_a_run_that_resumes_is_expected_to_take_what_is_left(session: Session, team: TestTeam) -> None:
    job = add_waiting(session, team.id, expected_seconds=100.0, checkpoint_step=30, total_steps=40)
    assert usage.expect_run(job) == 25


def test_another_half_life_holds_from_now_on(session: Session, dataset: Dataset) -> None:
    post(session, dataset)
    quick = QueueRules(usage_half_life_seconds=3600)
    post(session, dataset, now=NOW + 24 * HOUR, rules=quick)
    assert read_account(session, dataset.team_id, NOW + 24 * HOUR)[1] == pytest.approx(30 + 60)
    assert read_account(session, dataset.team_id, NOW + 25 * HOUR)[1] == pytest.approx(45)
    slow = QueueRules()
    claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60, rules=slow, now=NOW + 25 * HOUR)
    assert read_account(session, dataset.team_id, NOW + 49 * HOUR)[1] == pytest.approx(22.5)


def test_a_quota_of_slot_seconds_is_for_a_window_that_goes_along(session: Session, team: TestTeam) -> None:
    session.get_one(Team, team.id).max_slot_seconds = 3600
    job = add_waiting(session, team.id)
    begin_run(session, job, "slot-0", NOW)
    end_run(session, job, NOW + HOUR)
    waiting = add_waiting(session, team.id)

    def claim(now: datetime) -> Job | None:
        return claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60, rules=RULES, now=now)

    assert claim(NOW + HOUR) is None
    assert claim(NOW + timedelta(days=7, seconds=1)) == waiting


def test_the_size_of_the_slot_is_that_of_the_runs_beginning(session: Session, team: TestTeam) -> None:
    add_slot(session, "gpu-0", NOW, size=4.0)
    add_waiting(session, team.id)
    job = claims.claim_next(session, slot="gpu-0", device="cpu", lease_seconds=60)
    assert job is not None
    session.get_one(Slot, "gpu-0").size = 1.0
    assert session.get_one(Run, (job.id, 1)).slot_size == 4.0
