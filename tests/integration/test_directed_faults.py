"""Faults at the one moment where they could do most harm; the chaos suite looks for such moments by chance."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from cli.client import ApiError
from cli.database import open_database
from emomodel.bundles.bundle import verify
from jobs.clock import utc_now
from jobs.doorbell import COLLECT_TASK, HOUSEKEEPING_QUEUE, RUN_TASK, Doorbell, get_slot_queue, make_celery
from jobs.errors import RunFenced
from jobs.models import Artifact, Event, Job, Metric, Run
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from tests.support.stacks import ENDLESS_CONFIG, SHORT_CONFIG, Installation
from tests.support.waiting import wait_for

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
# Two workers that share a database: SQLite is for one host.
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

RING_COUNT = 30
# Half a lease.
LAST_STEPS_SECONDS = 2.0
CLOSE_POLL_SECONDS = 0.001
LOADING = ("importing", "loading_model", "loading_dataset")


@pytest.fixture
def installation(standing_installation: Installation) -> Installation:
    return standing_installation


def find_supervising_process(installation: Installation) -> psutil.Process:
    """The pool's process of the one slot that runs something."""
    (trainer,) = installation.list_trainers()
    supervisor = trainer.parent()
    assert supervisor is not None
    return supervisor


def read_traces(installation: Installation, job_id: str, attempt: int) -> dict[str, object]:
    """All that an attempt may have written to the rows; of the job's own row, the columns that name the attempt."""
    with open_database(installation.stack.settings) as database, database.read() as session:
        job = session.get_one(Job, job_id)
        run = session.scalars(select(Run).filter_by(job_id=job_id, attempt=attempt)).one()
        kinds = session.scalars(
            select(Event.kind).where(Event.job_id == job_id, Event.attempt == attempt).order_by(Event.id)
        ).all()
        metrics = select(func.count()).where(Metric.job_id == job_id, Metric.attempt == attempt)
        artifacts = select(func.count()).where(Artifact.job_id == job_id)
        return {
            "job": (job.status, job.attempt, job.slot),
            "run": (run.ended_at, run.outcome, run.cause, run.error_code),
            "events": list(kinds),
            "metrics": session.scalar(metrics),
            "artifacts": session.scalar(artifacts),
        }


def end_lease(installation: Installation, job_id: str) -> None:
    """As if its time had passed."""
    with open_database(installation.stack.settings) as database, database.write() as session:
        session.get_one(Job, job_id).lease_expires_at = utc_now()


@contextmanager
def locking_sqlite(path: Path) -> Iterator[None]:
    """Nobody else writes meanwhile."""
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


def wait_closely(condition: Callable[[], bool], seconds: float) -> bool:
    """What is looked for may be there for milliseconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(CLOSE_POLL_SECONDS)
    return False


@on_sqlite
def test_rings_that_are_doubled_or_lost_neither_double_nor_lose_a_job(installation: Installation) -> None:
    settings = installation.stack.settings
    celery = make_celery(settings)
    job_ids = [installation.submit(SHORT_CONFIG, name=name) for name in ("first", "second")]
    for _ in range(RING_COUNT):
        celery.send_task(RUN_TASK, queue=get_slot_queue("cpu"))
    installation.wait_for_step(job_ids[0])
    # What is left of those rings is lost, and that of a third job too.
    job_ids.append(installation.submit(SHORT_CONFIG, name="third"))
    Doorbell(celery).silence("cpu")
    for job_id in job_ids:
        job = installation.wait_for_status(job_id, "succeeded", "failed")
        assert (job["status"], job["attempt"]) == ("succeeded", 1), job["error"]
        assert [point["step"] for point in installation.list_metrics(job_id)] == list(range(1, 7))


@on_postgresql
def test_a_supervisor_that_slept_past_its_lease_kills_its_training_and_writes_nothing(
    installation: Installation,
) -> None:
    job_id = installation.submit(ENDLESS_CONFIG | {"checkpoint_every": 10})
    installation.wait_for_job(job_id, lambda job: job["checkpoint"] is not None)
    sleeper = find_supervising_process(installation)
    (left_alone,) = installation.list_trainers()
    sleeper.suspend()
    try:
        installation.start_worker_of_host("box-b")
        installation.wait_for_step(job_id, attempt=2)
        before = read_traces(installation, job_id, 1)
        assert left_alone.is_running()
    finally:
        sleeper.resume()
    left_alone.wait(20)
    wait_for(lambda: installation.get_slots()["box-a-cpu"]["status"] == "idle")
    assert read_traces(installation, job_id, 1) == before
    first, second = installation.client.list_runs(job_id)
    assert (first["cause"], first["error"]["code"]) == ("crash", "worker_lost")
    assert (second["slot"], second["ended_at"]) == ("box-b-cpu", None)
    assert len(installation.list_trainers()) == 1
    check_stale_writes(installation, job_id)
    installation.client.ask_of_job(job_id, "cancel")
    installation.wait_for_status(job_id, "cancelled")


def check_stale_writes(installation: Installation, job_id: str) -> None:
    """Attempt 2 runs: whatever attempt 1 says, on whatever day, is not heard."""
    before = read_traces(installation, job_id, 1)
    end = RunEnd(exit_code=0)
    verbs: list[Callable[..., object]] = [
        partial(claims.heartbeat, lease_seconds=3600),
        partial(claims.record_phase, phase="saving", message="late"),
        partial(run_ends.succeed, end=end, artifacts=[], message="late", result={}),
        partial(run_ends.fail, end=end),
        partial(run_ends.crash, end=end, max_crashes=1),
        partial(run_ends.interrupt, end=end, message="late"),
        partial(run_ends.confirm_cancel, end=end),
    ]
    with open_database(installation.stack.settings) as database:
        for verb in verbs:
            with pytest.raises(RunFenced), database.write() as session:
                verb(session, job_id=job_id, attempt=1)
    assert read_traces(installation, job_id, 1) == before


@on_sqlite
def test_a_cancel_while_the_model_is_loaded_ends_the_run(installation: Installation) -> None:
    job_id = installation.submit(ENDLESS_CONFIG)
    installation.wait_for_job(job_id, lambda job: job["status"] == "running" and job["phase"] in LOADING)
    (trainer,) = installation.list_trainers()
    installation.client.ask_of_job(job_id, "cancel")
    job = installation.wait_for_status(job_id, "cancelled")
    assert (job["attempt"], job["error"]) == (1, None)
    assert not trainer.is_running()
    assert "bundle" not in {item["kind"] for item in installation.client.list_artifacts(job_id)}


@on_sqlite
@pytest.mark.parametrize("is_supervisor_stopped", [False, True], ids=["on_time", "after_the_last_step"])
def test_a_pause_at_the_last_step_leaves_the_job_paused_or_succeeded(
    installation: Installation, *, is_supervisor_stopped: bool
) -> None:
    step_count = 60
    job_id = installation.submit(SHORT_CONFIG | {"max_steps": step_count, "checkpoint_every": 20})
    installation.wait_for_job(job_id, lambda job: job["step"] >= step_count - 20 or job["status"] == "succeeded")
    with contextlib.ExitStack() as stack:
        if is_supervisor_stopped:
            with contextlib.suppress(ValueError):
                # Already gone where the machine was quicker than this test.
                supervisor = find_supervising_process(installation)
                supervisor.suspend()
                stack.callback(supervisor.resume)
                # The training ends by itself: its result waits in the pipe when the pause is asked for.
                time.sleep(LAST_STEPS_SECONDS)
        with contextlib.suppress(ApiError):
            installation.client.ask_of_job(job_id, "pause")
    job = installation.wait_for_status(job_id, "paused", "succeeded", "failed", "cancelled")
    if job["status"] == "paused":
        assert installation.list_trainers() == []
        installation.client.ask_of_job(job_id, "resume")
        job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert (job["status"], job["step"]) == ("succeeded", step_count), job["error"]
    runs = installation.client.list_runs(job_id)
    assert [run["outcome"] for run in runs[:-1]] == ["paused"] * (len(runs) - 1)
    assert sorted({point["step"] for point in installation.list_metrics(job_id)}) == list(range(1, step_count + 1))


# A run whose heartbeats the lock keeps waiting would be lost after four seconds.
@pytest.mark.parametrize("lease_seconds", [120.0], indirect=True)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_worker_killed_while_it_packs_leaves_no_file_that_a_row_names(
    own_installation: Installation, tmp_path: Path
) -> None:
    settings = own_installation.stack.settings
    job_id = own_installation.submit(SHORT_CONFIG)
    folder = settings.data_dir / "runs" / job_id / "1"
    own_installation.wait_for_job(job_id, lambda job: job["status"] == "running")
    supervisor = find_supervising_process(own_installation)
    own_installation.wait_for_job(job_id, lambda _: (folder / "output").is_dir())
    # So that the row can't be written before the worker is dead.
    with locking_sqlite(settings.data_dir / "emotune.db"):
        incoming, artifacts = settings.data_dir / "incoming", settings.data_dir / "artifacts" / job_id
        assert wait_closely(lambda: any(folder.glob("*bundle.zip*")) or any(incoming.glob("*")), 40)
        supervisor.kill()
        own_installation.kill_slot_worker()
        left = {path.name for path in artifacts.glob("*")}
    assert own_installation.client.list_artifacts(job_id) == []
    end_lease(own_installation, job_id)
    own_installation.start_slot_worker()
    job = own_installation.wait_for_status(job_id, "succeeded", "failed")
    assert (job["status"], job["attempt"], job["step"]) == ("succeeded", 2, 6), job["error"]
    with open_database(settings) as database, database.read() as session:
        named = set(session.scalars(select(Artifact.filename).where(Artifact.job_id == job_id)))
    assert named.isdisjoint(left)
    assert "bundle-2.zip" in named
    own_installation.client.download_artifact(job_id, "bundle", tmp_path / "bundle.zip")
    verify(tmp_path / "bundle.zip")
    make_celery(settings).send_task(COLLECT_TASK, queue=HOUSEKEEPING_QUEUE)
    wait_for(lambda: {path.name for path in artifacts.iterdir()} == named)
