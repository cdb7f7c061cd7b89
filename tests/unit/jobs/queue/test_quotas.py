"""Quotas that refuse a job when it is posted."""

import pytest
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import PriorityClassTooHigh, QuotaExceeded
from jobs.models import Dataset, Job, Team
from jobs.priorities import PriorityClass
from jobs.runs import claims, stops
from tests.support.posting import post_job
from tests.support.queues import add_slot, add_waiting


def post(
    session: Session,
    dataset: Dataset,
    *,
    key: str | None = None,
    priority_class: PriorityClass = PriorityClass.NORMAL,
    timeout_seconds: float | None = None,
) -> Job:
    return post_job(
        session, dataset, name=None, idempotency_key=key, priority_class=priority_class, timeout_seconds=timeout_seconds
    )


def test_one_job_too_many_is_refused_with_the_numbers(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        session.get_one(Team, dataset.team_id).max_queued = 2
        first, second = post(session, dataset, key="a"), post(session, dataset)
        with pytest.raises(QuotaExceeded, match="2 of 2 jobs of your team are waiting"):
            post(session, dataset)
        # The same request again makes no additional job.
        assert post(session, dataset, key="a") == first
        stops.request_cancel(session, team_id=dataset.team_id, job_id=second.id)
        post(session, dataset)


@pytest.mark.parametrize(
    ("quota", "reason"),
    [({"max_running": 0}, "max_running is 0"), ({"max_slot_seconds": 1.0}, "could never run")],
)
def test_what_could_never_run_is_refused(
    database: Database, dataset: Dataset, quota: dict[str, float], reason: str
) -> None:
    with database.write() as session:
        for name, value in quota.items():
            setattr(session.get_one(Team, dataset.team_id), name, value)
        with pytest.raises(QuotaExceeded, match=reason):
            post(session, dataset)


def test_the_smallest_slot_decides_whether_a_job_fits_the_quota(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        expected = post(session, dataset).expected_seconds
        assert expected is not None
        session.get_one(Team, dataset.team_id).max_slot_seconds = 2 * expected
        add_slot(session, "large", utc_now(), size=8.0)
        with pytest.raises(QuotaExceeded):
            post(session, dataset)
        add_slot(session, "small", utc_now(), size=1.0)
        post(session, dataset)


def test_a_team_may_post_up_to_its_class(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        with pytest.raises(PriorityClassTooHigh, match="'normal'"):
            post(session, dataset, priority_class=PriorityClass.URGENT)
        session.get_one(Team, dataset.team_id).max_priority_class = PriorityClass.URGENT
        normal, urgent = post(session, dataset), post(session, dataset, priority_class=PriorityClass.URGENT)
        low = post(session, dataset, priority_class=PriorityClass.LOW)
        taken = [claims.claim_next(session, slot=name, device="cpu", lease_seconds=60) for name in ("a", "b", "c")]
        assert taken == [urgent, normal, low]


def test_a_team_takes_no_more_slots_than_its_quota(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        session.get_one(Team, dataset.team_id).max_running = 2
        for _ in range(3):
            add_waiting(session, dataset.team_id)
        taken = [claims.claim_next(session, slot=name, device="cpu", lease_seconds=60) for name in ("a", "b", "c")]
        assert [job is not None for job in taken] == [True, True, False]
