"""The recorder: heartbeats, batches, and a database that is unreachable for a while."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from emomodel.protocol.progress import Notice
from jobs.database.engine import Database
from jobs.errors import RunFenced
from jobs.models import Event, Job, Metric
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus
from tests.support.waiting import wait_for
from tests.unit.jobs.runs.test_claims import make_line
from tests.unit.worker.conftest import MakeJob
from worker.runs.recorder import Recorder


@pytest.fixture
def job(database: Database, make_job: MakeJob) -> Job:
    make_job()
    with database.write() as session:
        job = claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    assert job is not None
    return job


def make_recorder(database: Database, job: Job, *, lease_seconds: float = 60.0, heartbeat: float = 0.02) -> Recorder:
    return Recorder(
        database,
        job_id=job.id,
        attempt=job.attempt,
        heartbeat_seconds=heartbeat,
        flush_seconds=0.05,
        lease_seconds=lease_seconds,
    )


def list_seqs(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Metric.seq).order_by(Metric.seq)))


@pytest.fixture
def locked_out(database: Database) -> Iterator[Callable[[], None]]:
    """Return a function that takes the job table away, so that calls fail as on a dead database, or brings it back."""
    hidden = False

    def toggle() -> None:
        nonlocal hidden
        old, new = ("job_away", "job") if hidden else ("job", "job_away")
        with database.engine.connect() as connection:
            connection.execute(text("PRAGMA foreign_keys=OFF"))
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
            connection.commit()
        hidden = not hidden

    yield toggle
    if hidden:
        toggle()


def test_signs_of_life_extend_the_lease(database: Database, job: Job) -> None:
    with make_recorder(database, job, lease_seconds=500):
        wait_for(lambda: _get_lease_seconds(database, job) > 400)


def _get_lease_seconds(database: Database, job: Job) -> float:
    with database.read() as session:
        row = session.get_one(Job, job.id)
    assert row.lease_expires_at is not None
    assert row.heartbeat_at is not None
    return (row.lease_expires_at - row.heartbeat_at).total_seconds()


def test_metrics_arrive_while_the_run_goes_on(database: Database, job: Job) -> None:
    with make_recorder(database, job) as recorder:
        for seq in (1, 2, 3):
            recorder.add_metric(seq, make_line(seq))
        wait_for(lambda: list_seqs(database) == [1, 2, 3])


def test_the_end_brings_what_was_not_yet_written(database: Database, job: Job) -> None:
    with make_recorder(database, job, heartbeat=30) as recorder:
        recorder.add_metric(1, make_line(1))
        recorder.add(partial(claims.record_notice, job_id=job.id, attempt=1, notice=Notice(code="odd", message="odd")))
        recorder.finish(
            partial(run_ends.succeed, job_id=job.id, attempt=1, end=RunEnd(0), artifacts=[], message="done", result={})
        )
    assert list_seqs(database) == [1]
    with database.read() as session:
        assert session.get_one(Job, job.id).status is JobStatus.SUCCEEDED
        assert list(session.scalars(select(Event.kind).order_by(Event.id)))[-2:] == ["notice", "succeeded"]


def test_a_database_that_is_away_within_the_lease_costs_nothing(
    database: Database, job: Job, locked_out: Callable[[], None]
) -> None:
    with make_recorder(database, job) as recorder:
        locked_out()
        recorder.add_metric(1, make_line(1))
        time.sleep(0.2)
        assert list_seqs(database) == []
        assert not recorder.is_lost
        locked_out()
        wait_for(lambda: list_seqs(database) == [1])


def test_a_run_whose_lease_could_not_be_renewed_is_lost(
    database: Database, job: Job, locked_out: Callable[[], None]
) -> None:
    with make_recorder(database, job, lease_seconds=0.3) as recorder:
        locked_out()
        wait_for(lambda: recorder.is_lost)


def test_a_fenced_run_is_lost_at_its_next_sign_of_life(database: Database, job: Job) -> None:
    with make_recorder(database, job) as recorder:
        with database.write() as session:
            session.get_one(Job, job.id).attempt = 2
        wait_for(lambda: recorder.is_lost)
        with pytest.raises(RunFenced):
            recorder.finish(
                partial(
                    run_ends.succeed, job_id=job.id, attempt=1, end=RunEnd(0), artifacts=[], message="done", result={}
                )
            )
    with database.read() as session:
        assert session.get_one(Job, job.id).status is JobStatus.RUNNING


def test_the_end_waits_for_a_database_that_is_away(
    database: Database, job: Job, locked_out: Callable[[], None]
) -> None:
    with make_recorder(database, job, heartbeat=0.05) as recorder:
        locked_out()
        recorder.add_metric(1, make_line(1))
        threading.Timer(0.3, locked_out).start()
        recorder.finish(
            partial(run_ends.succeed, job_id=job.id, attempt=1, end=RunEnd(0), artifacts=[], message="done", result={})
        )
    with database.read() as session:
        assert session.get_one(Job, job.id).status is JobStatus.SUCCEEDED
    assert list_seqs(database) == [1]


def refuse(_session: Session) -> None:
    raise ValueError("the database will never take this")


def test_news_that_can_never_be_written_are_dropped_and_cost_no_lease(database: Database, job: Job) -> None:
    with make_recorder(database, job) as recorder:
        recorder.add(refuse)
        recorder.add_metric(1, make_line(1))
        wait_for(lambda: not recorder._verbs)
        before = _get_lease_seconds(database, job)
        recorder.add_metric(2, make_line(2))
        wait_for(lambda: list_seqs(database) == [2])
        assert not recorder.is_lost
        assert before > 0


def test_the_end_is_written_without_the_news_that_can_not_be(database: Database, job: Job) -> None:
    with make_recorder(database, job, heartbeat=60) as recorder:
        recorder.add(refuse)
        recorder.finish(
            partial(
                run_ends.succeed,
                job_id=job.id,
                attempt=job.attempt,
                end=RunEnd(0),
                artifacts=[],
                message="done",
                result={},
            )
        )
    with database.read() as session:
        assert session.get_one(Job, job.id).status is JobStatus.SUCCEEDED
