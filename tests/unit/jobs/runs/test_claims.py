"""Claims, leases and fencing, on the real schema in SQLite files."""

import math
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from emomodel.protocol.progress import Metric as MetricLine
from emomodel.protocol.progress import Notice
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import RunFenced
from jobs.models import Artifact, Dataset, Event, Job, Metric, Run, Slot
from jobs.queue import turns
from jobs.runs import claims, reaping, slots, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus, StopKind
from tests.support.posting import post_job
from tests.unit.conftest import make_dataset, make_team

LEASE_SECONDS = 60.0


def add_job(database: Database, dataset: Dataset, *, priority: int = 0, needs_cuda: bool = False) -> str:
    with database.write() as session:
        job = post_job(
            session, dataset, priority=priority, config=TrainConfig(load_in_4bit=True if needs_cuda else None)
        )
        return job.id


def claim(database: Database, *, slot: str = "slot-0", device: str = "cpu", lease: float = LEASE_SECONDS) -> Job | None:
    with database.write() as session:
        return claims.claim_next(session, slot=slot, device="cuda" if device == "cuda" else "cpu", lease_seconds=lease)


def claimed(database: Database, *, slot: str = "slot-0", lease: float = LEASE_SECONDS) -> Job:
    job = claim(database, slot=slot, lease=lease)
    assert job is not None
    return job


def get_job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def make_line(step: int, loss: float = 1.0) -> MetricLine:
    return MetricLine(
        step=step,
        total_steps=10,
        epoch=0.1,
        loss=loss,
        lora_learning_rate=1e-4,
        emotion_learning_rate=1e-3,
        tokens_per_second=5.0,
        token_count=5,
        elapsed_seconds=1.0,
        eta_seconds=1.0,
        memory_bytes=1,
    )


@contextmanager
def fresh_database(migrated_file: Path) -> Iterator[Database]:
    """For hypothesis, which runs many cases within one call of a test function."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "emotune.db"
        shutil.copy(migrated_file, path)
        database = Database(f"sqlite:///{path}")
        try:
            yield database
        finally:
            database.close()


many_databases = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


# Who gets a job


def test_a_claim_takes_the_job_and_begins_its_run(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    job = claimed(database)
    assert (job.id, job.status, job.attempt, job.slot) == (job_id, JobStatus.RUNNING, 1, "slot-0")
    assert job.lease_expires_at is not None
    assert timedelta(0) < job.lease_expires_at - utc_now() <= timedelta(seconds=LEASE_SECONDS)
    with database.read() as session:
        assert session.get_one(Run, (job_id, 1)).ended_at is None


@pytest.mark.parametrize("verb", ["fail", "interrupt", "confirm_cancel"])
def test_what_no_longer_runs_shows_no_speed_and_no_time_left(database: Database, dataset: Dataset, verb: str) -> None:
    add_job(database, dataset)
    job = claimed(database)
    with database.write() as session:
        claims.record_metrics(session, job_id=job.id, attempt=1, metrics=[(1, make_line(1))])
    values: dict[str, Any] = {"message": "x"} if verb == "interrupt" else {}
    with database.write() as session:
        getattr(run_ends, verb)(session, job_id=job.id, attempt=1, end=RunEnd(1, "x", "x"), **values)
    with database.read() as session:
        left = session.get_one(Job, job.id)
        assert (left.eta_seconds, left.tokens_per_second, left.slot) == (None, None, None)


def test_a_slot_that_runs_a_job_gets_no_second_one(database: Database, dataset: Dataset) -> None:
    add_job(database, dataset)
    add_job(database, dataset)
    assert claim(database) is not None
    assert claim(database) is None
    assert claim(database, slot="slot-1") is not None


def test_a_cpu_slot_passes_over_jobs_that_need_cuda(database: Database, dataset: Dataset) -> None:
    needy = add_job(database, dataset, priority=5, needs_cuda=True)
    modest = add_job(database, dataset)
    assert claimed(database).id == modest
    job = claim(database, slot="gpu-0", device="cuda")
    assert job is not None
    assert job.id == needy


def test_priority_goes_first_within_a_team_and_age_decides_the_rest(database: Database, dataset: Dataset) -> None:
    first, second = add_job(database, dataset), add_job(database, dataset)
    urgent = add_job(database, dataset, priority=1)
    order = [claimed(database, slot=f"slot-{number}").id for number in range(3)]
    assert order == [urgent, first, second]


def test_teams_take_turns_however_many_jobs_one_has(database: Database, dataset: Dataset) -> None:
    for _ in range(3):
        add_job(database, dataset)
    other = make_dataset(database, make_team(database, "blues"))
    late = add_job(database, other)
    taken = [claimed(database, slot=f"slot-{number}").id for number in range(2)]
    assert late in taken


@many_databases
@given(job_count=st.integers(0, 6), claimer_count=st.integers(1, 8))
def test_concurrent_claimers_get_each_job_once(migrated_file: Path, job_count: int, claimer_count: int) -> None:
    with fresh_database(migrated_file) as database:
        dataset = make_dataset(database, make_team(database, "reds"))
        jobs = {add_job(database, dataset) for _ in range(job_count)}
        taken: list[str] = []
        together = threading.Barrier(claimer_count)

        def compete(number: int) -> None:
            # An engine of its own, as each worker process has: the claimers meet in SQLite, not at one lock in Python.
            own = Database(str(database.engine.url))
            together.wait()
            job = claim(own, slot=f"slot-{number}")
            if job is not None:
                taken.append(job.id)
            own.close()

        threads = [threading.Thread(target=compete, args=[number]) for number in range(claimer_count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == len(set(taken)) == min(job_count, claimer_count)
        assert set(taken) <= jobs


# Who may write


Write = Callable[[Session, str], object]
STALE_WRITES: dict[str, Write] = {
    "heartbeat": lambda s, job_id: claims.heartbeat(s, job_id=job_id, attempt=1, lease_seconds=1),
    "phase": lambda s, job_id: claims.record_phase(s, job_id=job_id, attempt=1, phase="training", message=""),
    "plan": lambda s, job_id: claims.record_plan(s, job_id=job_id, attempt=1, total_steps=1, message=""),
    "notice": lambda s, job_id: claims.record_notice(s, job_id=job_id, attempt=1, notice=Notice(code="x", message="x")),
    "metrics": lambda s, job_id: claims.record_metrics(s, job_id=job_id, attempt=1, metrics=[(1, make_line(1))]),
    "succeed": lambda s, job_id: run_ends.succeed(
        s, job_id=job_id, attempt=1, end=RunEnd(0), artifacts=[make_artifact(job_id)], message="", result={}
    ),
    "fail": lambda s, job_id: run_ends.fail(s, job_id=job_id, attempt=1, end=RunEnd(1, "x", "")),
    "cancel": lambda s, job_id: run_ends.confirm_cancel(s, job_id=job_id, attempt=1, end=RunEnd(1)),
    "requeue": lambda s, job_id: run_ends.interrupt(s, job_id=job_id, attempt=1, message="", end=RunEnd(1)),
}


@pytest.mark.parametrize("write", STALE_WRITES.values(), ids=STALE_WRITES.keys())
def test_a_run_that_lost_its_job_can_write_nothing(database: Database, dataset: Dataset, write: Write) -> None:
    job = claimed_and_lost(database, dataset)

    def write_and_commit() -> None:
        with database.write() as session:
            write(session, job.id)

    before = snapshot(database, job.id)
    with pytest.raises(RunFenced):
        write_and_commit()
    assert snapshot(database, job.id) == before


def make_artifact(job_id: str) -> Artifact:
    return Artifact(job_id=job_id, kind="log", filename="log.txt", media_type="x", size_bytes=1, sha256="0")


def claimed_and_lost(database: Database, dataset: Dataset) -> Job:
    """A job whose first run was taken for dead and whose second one runs."""
    add_job(database, dataset)
    claimed(database, lease=-1)
    with database.write() as session:
        reaping.reap(session, max_crashes=3)
    return claimed(database, slot="slot-1")


def snapshot(database: Database, job_id: str) -> tuple[object, ...]:
    with database.read() as session:
        job = session.get_one(Job, job_id)
        columns = tuple(getattr(job, column.key) for column in Job.__table__.columns)
        counts = tuple(session.scalar(select(func.count()).select_from(table)) for table in (Event, Metric, Artifact))
        return columns + counts


def test_a_heartbeat_extends_the_lease_and_brings_the_wish_to_stop(database: Database, dataset: Dataset) -> None:
    add_job(database, dataset)
    job = claimed(database, lease=1)
    with database.write() as session:
        assert claims.heartbeat(session, job_id=job.id, attempt=1, lease_seconds=500).stop is None
    assert (get_job(database, job.id).lease_expires_at or utc_now()) - utc_now() > timedelta(seconds=400)
    with database.write() as session:
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id)
        assert claims.heartbeat(session, job_id=job.id, attempt=1, lease_seconds=500).stop is StopKind.CANCEL


def test_metrics_that_come_twice_are_stored_once(database: Database, dataset: Dataset) -> None:
    add_job(database, dataset)
    job = claimed(database)
    for batch in ([1, 2], [1, 2, 3]):
        with database.write() as session:
            lines = [(seq, make_line(seq)) for seq in batch]
            claims.record_metrics(session, job_id=job.id, attempt=1, metrics=lines)
    with database.read() as session:
        assert list(session.scalars(select(Metric.seq).order_by(Metric.seq))) == [1, 2, 3]
    assert get_job(database, job.id).step == 3


def test_metrics_extend_the_short_curve_that_a_later_attempt_goes_on_with(database: Database, dataset: Dataset) -> None:
    add_job(database, dataset)
    job = claimed(database)
    lines = [(seq, make_line(seq)) for seq in range(1, 5)]
    lines[1] = (2, make_line(2).model_copy(update={"loss": math.nan}))
    losses = [line.loss for _, line in lines]
    for batch in (lines[:2], lines):
        with database.write() as session:
            claims.record_metrics(session, job_id=job.id, attempt=1, metrics=batch)
    with database.write() as session:
        assert session.scalar(select(Job.loss_trace)) == {"stride": 1, "losses": [losses[0], None, *losses[2:]]}
        run_ends.interrupt(session, job_id=job.id, attempt=1, message="The worker was restarted.", end=RunEnd(None))
    claimed(database)
    # From the checkpoint of step 2 on.
    with database.write() as session:
        claims.record_metrics(session, job_id=job.id, attempt=2, metrics=[(1, make_line(3))])
    with database.read() as session:
        assert session.scalar(select(Job.loss_trace)) == {"stride": 1, "losses": [losses[0], None, losses[2]]}


# What becomes of lost runs


def test_a_run_within_its_lease_is_left_alone(database: Database, dataset: Dataset) -> None:
    add_job(database, dataset)
    claimed(database)
    with database.write() as session:
        assert reaping.reap(session, max_crashes=3) == []


def test_a_job_whose_runs_die_too_often_fails(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    for expected in (JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.FAILED):
        claimed(database, lease=-1)
        with database.write() as session:
            assert reaping.reap(session, max_crashes=3) == [job_id]
        assert get_job(database, job_id).status is expected
    assert get_job(database, job_id).error_code == "worker_lost"


def test_interruptions_do_not_count_as_deaths(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    for attempt in range(1, 6):
        claimed(database)
        with database.write() as session:
            run_ends.interrupt(session, job_id=job_id, attempt=attempt, message="leaving", end=RunEnd(3))
    claimed(database, lease=-1)
    with database.write() as session:
        reaping.reap(session, max_crashes=3)
    assert get_job(database, job_id).status is JobStatus.QUEUED


@pytest.mark.parametrize("way", ["reap", "requeue"])
def test_a_job_that_was_to_stop_is_cancelled_not_requeued(database: Database, dataset: Dataset, way: str) -> None:
    job_id = add_job(database, dataset)
    claimed(database, lease=-1 if way == "reap" else LEASE_SECONDS)
    with database.write() as session:
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job_id)
    with database.write() as session:
        if way == "reap":
            reaping.reap(session, max_crashes=3)
        else:
            run_ends.interrupt(session, job_id=job_id, attempt=1, message="leaving", end=RunEnd(3))
    job = get_job(database, job_id)
    assert (job.status, job.stop_requested_at) == (JobStatus.CANCELLED, None)


# Who is woken


def test_only_idle_slots_that_can_run_a_waiting_job_are_woken(database: Database, dataset: Dataset) -> None:
    def list_devices() -> list[str]:
        with database.read() as session:
            return list(turns.list_devices_to_wake(session, seen_within_seconds=10))

    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
    assert list_devices() == []
    add_job(database, dataset)
    assert list_devices() == ["cpu"]
    claimed(database)
    add_job(database, dataset)
    assert list_devices() == [], "the only slot is busy"
    with database.write() as session:
        slots.note_slot(session, name="gpu-0", device="cuda", host="here")
        slots.note_slot(session, name="slot-1", device="cpu", host="here")
        session.get_one(Slot, "slot-1").seen_at = utc_now() - timedelta(seconds=20)
    assert list_devices() == ["cuda"], "slot-1 has never been seen"


def test_a_job_that_needs_cuda_wakes_no_cpu_slot(database: Database, dataset: Dataset) -> None:
    add_job(database, dataset, needs_cuda=True)
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
        assert turns.list_devices_to_wake(session, seen_within_seconds=10) == []
        assert not turns.has_waiting(session, device="cpu")
        assert turns.has_waiting(session, device="cuda")
