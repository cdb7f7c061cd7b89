"""Collecting garbage: what nobody can reach goes, and nothing else."""

import os
import time

from jobs import claims
from jobs.datasets import add_dataset
from jobs.ids import new_id
from jobs.models import Job
from jobs.teams import get_or_create_team
from tests.unit.worker.conftest import MakeJob
from worker.garbage import ABANDONED_SECONDS, collect_garbage
from worker.resources import Resources


def test_only_old_half_written_files_are_deleted(resources: Resources) -> None:
    incoming = resources.storage.root / "incoming"
    incoming.mkdir()
    old, new = incoming / "old", incoming / "new"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - ABANDONED_SECONDS - 60))
    collect_garbage(resources)
    assert list(incoming.iterdir()) == [new]


def test_the_weights_of_ended_jobs_go_and_those_of_others_stay(resources: Resources, make_job: MakeJob) -> None:
    ended, requeued = make_job(name="ended").id, make_job(name="requeued").id
    with resources.database.write() as session:
        for number in range(2):
            claims.claim_next(session, slot=f"slot-{number}", device="cpu", lease_seconds=60)
        claims.fail(session, job_id=ended, attempt=1, code="x", message="x", exit_code=1)
        claims.requeue(session, job_id=requeued, attempt=1, message="later", exit_code=3)
        assert session.get_one(Job, ended).finished_at is not None
    for job_id in (ended, requeued):
        weights = resources.storage.get_run_folder(job_id, 1) / "output" / "weights"
        weights.parent.mkdir(parents=True)
        weights.touch()
    collect_garbage(resources)
    assert not (resources.storage.get_run_folder(ended, 1) / "output").exists()
    assert (resources.storage.get_run_folder(requeued, 1) / "output").exists()


def test_a_dataset_file_without_a_row_goes_when_it_is_old(resources: Resources) -> None:
    storage = resources.storage
    with_row, without_row, new = (new_id("ds") for _ in range(3))
    with resources.database.write() as session:
        team = get_or_create_team(session, name="ours")
        add_dataset(
            session,
            dataset_id=with_row,
            team_id=team.id,
            name="kept",
            size_bytes=0,
            sha256="0" * 64,
            axes=["A_B", "C_D"],
            example_count=1,
            report={},
        )
    for dataset_id in (with_row, without_row, new):
        path = storage.get_dataset_path(dataset_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for dataset_id in (with_row, without_row):
        os.utime(storage.get_dataset_path(dataset_id), (0, time.time() - ABANDONED_SECONDS - 60))
    stray = storage.root / "datasets" / ".nfs0001"
    stray.touch()
    os.utime(stray, (0, time.time() - ABANDONED_SECONDS - 60))
    collect_garbage(resources)
    left = {path.stem for path in (storage.root / "datasets").iterdir()}
    assert left == {with_row, new, stray.stem}
