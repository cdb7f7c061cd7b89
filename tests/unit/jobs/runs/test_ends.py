"""How runs end: crashes are counted, interruptions are not, and a request of the team has precedence."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session

from jobs import records
from jobs.database.engine import Database
from jobs.models import Dataset, Job
from jobs.runs import claims, reaping, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus, RunCause
from tests.unit.jobs.runs.test_claims import add_job, get_job

CRASH = RunEnd(exit_code=-9, code="trainer_killed", message="It was killed.", log=["Boom"], peak_host_bytes=100)
MAX_CRASHES = 3

Stop = Callable[..., object]


def claim_again(database: Database, *, boot_id: str | None = None) -> Job:
    with database.write() as session:
        job = claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60, boot_id=boot_id)
    assert job is not None
    return job


def crash(session: Session, job: Job, end: RunEnd = CRASH) -> JobStatus:
    return run_ends.crash(session, job_id=job.id, attempt=job.attempt, end=end, max_crashes=MAX_CRASHES)


def list_causes(database: Database, job_id: str) -> list[RunCause | None]:
    with database.read() as session:
        return [run.cause for run in records.list_runs(session, job_id=job_id)]


def test_a_crash_is_tried_again_until_there_were_too_many(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    for expected in (JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.FAILED):
        job = claim_again(database)
        with database.write() as session:
            assert crash(session, job) is expected
    failed = get_job(database, job_id)
    assert (failed.error_code, failed.error_log) == ("trainer_killed", ["Boom"])
    assert failed.error_message == "It was killed. This was crash 3 of 3."
    assert list_causes(database, job_id) == [RunCause.CRASH, RunCause.CRASH, None]


def test_interruptions_and_smaller_batches_are_no_crashes(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    for number in range(4):
        job = claim_again(database)
        with database.write() as session:
            verb = run_ends.retry_smaller if number == 0 else run_ends.interrupt
            assert verb(session, job_id=job.id, attempt=job.attempt, end=RunEnd(3), message="later") is JobStatus.QUEUED
    job = claim_again(database)
    assert job.batch_split == 2
    with database.write() as session:
        assert crash(session, job) is JobStatus.QUEUED
    assert list_causes(database, job_id) == [RunCause.SMALLER_BATCH, *[RunCause.INTERRUPTION] * 3, RunCause.CRASH]


@pytest.mark.parametrize(
    ("stop", "expected"),
    [(stops.request_pause, JobStatus.PAUSED), (stops.request_cancel, JobStatus.CANCELLED)],
    ids=["pause", "cancel"],
)
@pytest.mark.parametrize("way", ["crash", "interrupt", "retry_smaller", "reap"])
def test_however_a_run_ends_the_team_gets_what_it_asked_for(
    database: Database, dataset: Dataset, stop: Stop, expected: JobStatus, way: str
) -> None:
    job_id = add_job(database, dataset)
    job = claim_again(database)
    with database.write() as session:
        stop(session, team_id=dataset.team_id, job_id=job_id)
        end = {"job_id": job_id, "attempt": job.attempt, "end": CRASH}
        match way:
            case "crash":
                assert crash(session, job) is expected
            case "reap":
                session.get_one(Job, job_id).lease_expires_at = job.created_at
                assert reaping.reap(session, max_crashes=MAX_CRASHES) == [job_id]
            case _:
                assert getattr(run_ends, way)(session, **end, message="later") is expected
    ended = get_job(database, job_id)
    assert (ended.status, ended.stop_kind, ended.stop_requested_at) == (expected, None, None)


def test_the_peaks_of_a_job_are_those_of_its_worst_run(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    for gpu, host in ((None, 300), (70, 200), (50, None)):
        job = claim_again(database)
        with database.write() as session:
            end = RunEnd(3, peak_gpu_bytes=gpu, peak_host_bytes=host)
            run_ends.interrupt(session, job_id=job_id, attempt=job.attempt, end=end, message="later")
    job = get_job(database, job_id)
    assert (job.peak_gpu_bytes, job.peak_host_bytes) == (70, 300)


def test_a_run_of_an_earlier_boot_is_over_at_once_and_is_no_crash(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    claim_again(database, boot_id="monday")
    with database.write() as session:
        assert reaping.reap_earlier_boot(session, slot="slot-0", boot_id="monday") is None
        assert reaping.reap_earlier_boot(session, slot="slot-1", boot_id="tuesday") is None
        assert reaping.reap_earlier_boot(session, slot="slot-0", boot_id="tuesday") == job_id
    assert get_job(database, job_id).status is JobStatus.QUEUED
    with database.read() as session:
        (run,) = records.list_runs(session, job_id=job_id)
    assert (run.cause, run.error_code) == (RunCause.INTERRUPTION, "machine_restarted")


def test_the_time_of_a_jobs_runs_is_counted_together(database: Database, dataset: Dataset) -> None:
    job_id = add_job(database, dataset)
    for _ in range(2):
        job = claim_again(database)
        with database.write() as session:
            run_ends.interrupt(session, job_id=job_id, attempt=job.attempt, end=RunEnd(3), message="later")
    claim_again(database)
    with database.read() as session:
        runs = records.list_runs(session, job_id=job_id)
        spans = [(run.ended_at - run.started_at).total_seconds() for run in runs if run.ended_at is not None]
        assert len(spans) == 2
        assert run_ends.get_run_seconds(session, job_id=job_id) == pytest.approx(sum(spans))
