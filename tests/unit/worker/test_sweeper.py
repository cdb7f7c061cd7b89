"""The sweep: it repairs what nobody else is there to repair, and touches nothing else."""

import os
import time

from celery import Celery

from jobs import claims
from jobs.models import Job
from jobs.status import JobStatus
from tests.support.brokers import count_rings
from tests.unit.worker.conftest import MakeJob
from worker.resources import Resources
from worker.sweeper import ABANDONED_SECONDS, sweep


def note_slot(resources: Resources) -> None:
    with resources.database.write() as session:
        claims.note_slot(session, name="slot-0", device="cpu", host="here")


def test_a_stalled_run_is_requeued_and_its_slot_rung(resources: Resources, make_job: MakeJob, broker: Celery) -> None:
    job_id = make_job().id
    note_slot(resources)
    with resources.database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=-1)
    sweep(resources)
    with resources.database.read() as session:
        assert session.get_one(Job, job_id).status is JobStatus.QUEUED
    assert count_rings(broker, "cpu") == 1


def test_a_lost_ring_is_sent_again(resources: Resources, make_job: MakeJob, broker: Celery) -> None:
    make_job()
    note_slot(resources)
    sweep(resources)
    assert count_rings(broker, "cpu") == 1


def test_nobody_is_rung_for_nothing_or_while_busy(resources: Resources, make_job: MakeJob, broker: Celery) -> None:
    note_slot(resources)
    sweep(resources)
    make_job()
    make_job()
    with resources.database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    for _ in range(3):
        sweep(resources)
    assert count_rings(broker, "cpu") == 0


def test_rings_do_not_gather_where_no_slot_listens(resources: Resources, broker: Celery) -> None:
    note_slot(resources)
    for _ in range(5):
        resources.doorbell.ring()
    sweep(resources)
    assert (count_rings(broker, "cpu"), count_rings(broker, "cuda")) == (5, 0)


def test_only_old_half_written_files_are_deleted(resources: Resources) -> None:
    incoming = resources.storage.root / "incoming"
    incoming.mkdir()
    old, new = incoming / "old", incoming / "new"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, time.time() - ABANDONED_SECONDS - 60))
    sweep(resources)
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
    sweep(resources)
    assert not (resources.storage.get_run_folder(ended, 1) / "output").exists()
    assert (resources.storage.get_run_folder(requeued, 1) / "output").exists()
