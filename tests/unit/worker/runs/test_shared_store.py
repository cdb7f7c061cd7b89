"""Runs on a machine that shares a store with others, but no folder."""

from dataclasses import replace
from pathlib import Path

import pytest

from jobs.files import leftovers
from jobs.files.storage import LOG_FILE, Storage
from jobs.status import JobStatus, RunCause
from tests.support.stores import BucketDouble
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.runs.running import get_job, get_run
from worker.resources import Resources
from worker.runs.turn import run_next


@pytest.fixture
def bucket(tmp_path: Path) -> BucketDouble:
    return BucketDouble(tmp_path / "bucket")


@pytest.fixture
def machine(resources: Resources, bucket: BucketDouble) -> Resources:
    return replace(resources, storage=Storage(resources.storage.root, bucket))


def test_what_a_run_makes_is_in_the_store_and_what_it_worked_with_is_gone(
    machine: Resources, bucket: BucketDouble, make_job: MakeJob
) -> None:
    job_id = make_job().id
    run_next(machine, fake_argv("succeed"))
    assert get_job(machine.database, job_id).status is JobStatus.SUCCEEDED
    assert {"bundle-1.zip", "log-1.txt"} <= machine.storage.list_artifact_files(job_id)
    assert not (machine.storage.root / "artifacts").exists()
    assert [file.key for file in bucket.list("runs/")] == [f"runs/{job_id}/1/{LOG_FILE}"]
    assert leftovers.list_leftover_ids(machine.storage) == set()


def test_a_store_that_is_away_costs_a_job_no_attempt_too_many(
    machine: Resources, bucket: BucketDouble, make_job: MakeJob
) -> None:
    job_id = make_job().id
    bucket.is_away = True
    run_next(machine, fake_argv("succeed"))
    job = get_job(machine.database, job_id)
    assert (job.status, get_run(machine.database, job).cause) == (JobStatus.QUEUED, RunCause.INTERRUPTION)
    bucket.is_away = False
    run_next(machine, fake_argv("succeed"))
    assert get_job(machine.database, job_id).status is JobStatus.SUCCEEDED


def test_what_an_earlier_run_left_here_goes_once_its_job_has_ended_elsewhere(
    machine: Resources, make_job: MakeJob
) -> None:
    elsewhere = make_job().id
    folder = machine.storage.get_checkpoint_folder(elsewhere, 1)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"w")
    run_next(machine, fake_argv("fail"))
    assert get_job(machine.database, elsewhere).status is JobStatus.FAILED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_bytes(b"w")
    waiting = make_job().id
    own = machine.storage.get_checkpoint_folder(make_job().id, 1)
    own.mkdir(parents=True)
    run_next(machine, fake_argv("succeed"))
    assert get_job(machine.database, waiting).status is JobStatus.SUCCEEDED
    assert not folder.exists()
    assert own.exists()
