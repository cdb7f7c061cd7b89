"""A run that resumes from a checkpoint: what the curve lacks up to there comes first, and once."""

import errno
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, text

from jobs.database.engine import Database
from jobs.files.run_copies import RunCopies
from jobs.files.storage import METRICS_FILE, Storage
from jobs.models import Job, Metric
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.runs.metrics import SampledMetric
from jobs.status import JobStatus
from tests.support.redis_doubles import MemoryRedis
from tests.support.stores import BucketDouble
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.fake_trainer import make_metric, write_checkpoint
from tests.unit.worker.runs.running import get_job, get_run
from worker.resources import Resources
from worker.runs.checkpoints import RunCheckpoints
from worker.runs.metric_files import read_metric_file
from worker.runs.missing_metrics import MissingMetrics
from worker.runs.recorder import Recorder
from worker.runs.turn import run_next


def end_first_run(resources: Resources, job_id: str, *, stored: int, checkpoint: int) -> Path:
    """Run to the step `checkpoint`, with the steps up to `stored` in the database; returns its checkpoint."""
    with resources.database.write() as session:
        assert claims.claim_next(session, slot="slot-9", device="cpu", lease_seconds=60) is not None
        lines = [(step, make_metric(step)) for step in range(1, stored + 1)]
        if lines:
            claims.record_metrics(session, job_id=job_id, attempt=1, metrics=lines)
        run_ends.interrupt(session, job_id=job_id, attempt=1, end=RunEnd(), message="It was lost")
    return write_checkpoint(resources.storage.get_checkpoint_folder(job_id, 1), checkpoint)


def list_points(database: Database) -> list[tuple[int, int, int]]:
    """(attempt, seq, step)"""
    with database.read() as session:
        metrics = session.scalars(select(Metric).order_by(Metric.attempt, Metric.seq)).all()
    return [(metric.attempt, metric.seq, metric.values["step"]) for metric in metrics]


@pytest.mark.parametrize(
    ("stored", "points"),
    [
        (1, [(1, 1, 1), (2, 1, 2), (2, 2, 3), (2, 3, 4), (2, 4, 5)]),
        (0, [(2, 1, 1), (2, 2, 2), (2, 3, 3), (2, 4, 4), (2, 5, 5)]),
        (4, [(1, 1, 1), (1, 2, 2), (1, 3, 3), (1, 4, 4), (2, 1, 4), (2, 2, 5)]),
    ],
    ids=["some", "none", "more"],
)
def test_the_next_run_hands_on_what_the_database_lacks(
    resources: Resources, make_job: MakeJob, redis: MemoryRedis, stored: int, points: list[tuple[int, int, int]]
) -> None:
    job_id = make_job().id
    end_first_run(resources, job_id, stored=stored, checkpoint=3)
    run_next(resources, fake_argv("work_with_checkpoints"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.step) == (JobStatus.SUCCEEDED, 5)
    assert get_run(resources.database, job).resumed_step == 3
    assert list_points(resources.database) == points
    own = [(attempt, seq) for attempt, seq, _ in points if attempt == 2]
    assert [place for stream in redis.streams.values() for place in stream] == own
    # A line for each seq, here too.
    lines = read_metric_file(resources.storage.get_run_folder(job_id, 2) / METRICS_FILE)
    assert [line.step for line in lines] == [step for attempt, _, step in points if attempt == 2]


def test_a_checkpoint_whose_metrics_can_not_be_read_is_gone_on_from_all_the_same(
    resources: Resources, make_job: MakeJob
) -> None:
    job_id = make_job().id
    checkpoint = end_first_run(resources, job_id, stored=1, checkpoint=3)
    path = checkpoint / METRICS_FILE
    path.write_bytes(b"\0" * path.stat().st_size)
    run_next(resources, fake_argv("work_with_checkpoints"))
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED
    assert list_points(resources.database) == [(1, 1, 1), (2, 1, 4), (2, 2, 5)]


def test_a_machine_that_shares_only_the_store_has_them_too(
    resources: Resources, make_job: MakeJob, tmp_path: Path
) -> None:
    machine = replace(resources, storage=Storage(resources.storage.root, BucketDouble(tmp_path / "bucket")))
    job_id = make_job().id
    end_first_run(machine, job_id, stored=1, checkpoint=3)
    RunCopies(machine.storage, job_id).put_checkpoints(1)
    shutil.rmtree(machine.storage.get_run_folder(job_id, 1))
    run_next(machine, fake_argv("work_with_checkpoints"))
    assert get_job(machine.database, job_id).status is JobStatus.SUCCEEDED
    with machine.database.read() as session:
        values = session.get_one(Metric, (job_id, 2, 1)).values
    # As in the checkpoint, without samples of the GPU.
    assert values == SampledMetric(**make_metric(2).model_dump()).model_dump(exclude={"type"})
    assert list_points(machine.database) == [(1, 1, 1), (2, 1, 2), (2, 2, 3), (2, 3, 4), (2, 4, 5)]


@pytest.mark.parametrize("leaves", [False, True], ids=["waits", "leaves"])
def test_a_database_that_is_away_is_waited_for_unless_the_worker_leaves(
    resources: Resources, make_job: MakeJob, leaves: bool
) -> None:
    job_id = make_job().id
    end_first_run(resources, job_id, stored=1, checkpoint=3)
    job = claim(resources)
    rename_table(resources.database, "metric", "metric_away")
    if leaves:
        resources.drain.request()
    comes_back = threading.Timer(0.3, rename_table, [resources.database, "metric_away", "metric"])
    comes_back.start()
    missing = make_missing(resources, job)
    comes_back.join()
    assert [metric.step for metric in missing.find(3)] == ([] if leaves else [2, 3])


class BrokenCheckpoints(RunCheckpoints):
    """On a disk that fails."""

    def read_metrics(self, step: int) -> list[SampledMetric]:
        raise OSError(errno.EIO, f"the checkpoint of step {step} can't be read")


def test_a_disk_that_fails_keeps_no_run_from_going_on(resources: Resources, make_job: MakeJob) -> None:
    end_first_run(resources, make_job().id, stored=1, checkpoint=3)
    assert make_missing(resources, claim(resources), BrokenCheckpoints).find(3) == []


def make_missing(resources: Resources, job: Job, kind: type[RunCheckpoints] = RunCheckpoints) -> MissingMetrics:
    checkpoints = kind(resources.storage, job_id=job.id, attempt=job.attempt, kept=2)
    recorder = Recorder(
        resources.database, job_id=job.id, attempt=job.attempt, heartbeat_seconds=1, flush_seconds=1, lease_seconds=60
    )
    return MissingMetrics(resources, job, checkpoints, recorder)


def claim(resources: Resources) -> Job:
    with resources.database.write() as session:
        job = claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    assert job is not None
    return job


def rename_table(database: Database, old: str, new: str) -> None:
    """Calls fail as on a dead database while the table is away."""
    with database.engine.connect() as connection:
        connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))
        connection.commit()
