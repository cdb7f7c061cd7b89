"""The reaper: a run whose worker died keeps what was only in its metrics file, and ends whatever that file holds."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from jobs.clock import utc_now
from jobs.files.storage import METRICS_FILE
from jobs.models import Job, Metric
from jobs.runs import claims
from jobs.runs.metrics import SampledMetric
from jobs.status import JobStatus
from tests.unit.jobs.runs.test_claims import make_line
from tests.unit.worker.conftest import MakeJob
from tests.unit.worker.runs.test_metric_files import make_lines
from worker.clock_watch import ClockWatch
from worker.resources import Resources
from worker.runs.reaper import reap, reap_earlier_boot


@pytest.fixture
def job(resources: Resources, make_job: MakeJob) -> Job:
    """It runs on this slot, since an earlier boot, and its lease is over."""
    make_job()
    with resources.database.write() as session:
        job = claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=-1, boot_id="an earlier boot")
    assert job is not None
    return job


def record(resources: Resources, job: Job, *steps: int) -> None:
    """What the run's worker had written to the database."""
    lines = [(seq, make_line(step)) for seq, step in enumerate(steps, start=1)]
    with resources.database.write() as session:
        claims.record_metrics(session, job_id=job.id, attempt=1, metrics=lines)


def write_file(resources: Resources, job: Job, content: str) -> None:
    folder = resources.storage.get_run_folder(job.id, 1)
    folder.mkdir(parents=True)
    (folder / METRICS_FILE).write_text(content)


def reap_all(resources: Resources) -> list[str]:
    with resources.database.write() as session:
        return reap(session, resources)


def list_metrics(resources: Resources) -> Sequence[Metric]:
    with resources.database.read() as session:
        return session.scalars(select(Metric).order_by(Metric.attempt, Metric.seq)).all()


def list_points(resources: Resources) -> list[tuple[int, int, int]]:
    """(attempt, seq, step)"""
    return [(metric.attempt, metric.seq, metric.values["step"]) for metric in list_metrics(resources)]


def get_job(resources: Resources, job: Job) -> Job:
    with resources.database.read() as session:
        return session.get_one(Job, job.id)


def test_what_was_only_in_the_file_keeps_its_seqs(resources: Resources, job: Job) -> None:
    record(resources, job, 2, 4)
    write_file(resources, job, make_lines(2, 4, 6, 8))
    assert reap_all(resources) == [job.id]
    assert list_points(resources) == [(1, 1, 2), (1, 2, 4), (1, 3, 6), (1, 4, 8)]
    row = get_job(resources, job)
    assert (row.status, row.step) == (JobStatus.QUEUED, 8)
    assert reap_all(resources) == []


def test_a_job_that_ends_with_its_dead_worker_keeps_it_too(resources: Resources, job: Job) -> None:
    write_file(resources, job, make_lines(1, 2))
    settings = resources.settings.model_copy(update={"max_crashes": 1})
    assert reap_all(replace(resources, settings=settings)) == [job.id]
    assert get_job(resources, job).status is JobStatus.FAILED
    assert list_points(resources) == [(1, 1, 1), (1, 2, 2)]


def test_a_run_of_an_earlier_boot_keeps_it_with_its_samples(resources: Resources, job: Job) -> None:
    sampled = SampledMetric(**make_line(1).model_dump(), gpu_power_watts=70.0)
    write_file(resources, job, sampled.model_dump_json(exclude_none=True) + "\n")
    with resources.database.write() as session:
        session.get_one(Job, job.id).lease_expires_at = utc_now()
        reap_earlier_boot(session, resources)
    assert get_job(resources, job).status is JobStatus.QUEUED
    assert [metric.values["gpu_power_watts"] for metric in list_metrics(resources)] == [70.0]


@pytest.mark.parametrize(
    ("content", "points"),
    [
        (None, [(1, 1, 1), (1, 2, 2)]),
        ("", [(1, 1, 1), (1, 2, 2)]),
        (make_lines(1, 2), [(1, 1, 1), (1, 2, 2)]),
        (make_lines(1), [(1, 1, 1), (1, 2, 2)]),
        (make_lines(1, 2, 3) + '{"type":"met', [(1, 1, 1), (1, 2, 2), (1, 3, 3)]),
        (make_lines(1, 3, 4), [(1, 1, 1), (1, 2, 2)]),
        (make_lines(1) + "\0" * 99 + "\n" + make_lines(3), [(1, 1, 1), (1, 2, 2)]),
    ],
    ids=["no file", "empty", "nothing new", "behind", "half a line", "a line is missing", "zeros"],
)
def test_no_file_doubles_a_point_or_keeps_a_run_from_its_end(
    resources: Resources, job: Job, content: str | None, points: list[tuple[int, int, int]]
) -> None:
    record(resources, job, 1, 2)
    if content is not None:
        write_file(resources, job, content)
    assert reap_all(resources) == [job.id]
    assert get_job(resources, job).status is JobStatus.QUEUED
    assert list_points(resources) == points


def test_what_the_database_can_not_take_is_left_out(resources: Resources, job: Job) -> None:
    record(resources, job, 1)
    write_file(resources, job, make_lines(1, 2, 10**30))
    assert reap_all(resources) == [job.id]
    assert get_job(resources, job).status is JobStatus.QUEUED
    assert list_points(resources) == [(1, 1, 1)]


def test_nobody_is_taken_for_dead_after_the_clock_was_set(resources: Resources, job: Job) -> None:
    times = iter([0.0, 1000.0])
    watch = ClockWatch(rest_seconds=60, wall=lambda: next(times), counted=lambda: 0.0)
    assert reap_all(replace(resources, clock_watch=watch)) == []
