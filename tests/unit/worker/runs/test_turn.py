"""A slot's turn with a fake training process: which job it takes, and when it takes none."""

from dataclasses import replace

import pytest
from celery import Celery

from jobs.runs import claims, slots, stops
from jobs.status import JobStatus
from tests.support.brokers import count_rings
from tests.support.gpus import GIB, IDLE_GPU, DeviceDouble
from tests.support.waiting import WAIT_SECONDS
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.runs.running import get_job, list_events, run_in_thread, wait_for_first_step
from worker.resources import Resources, make_slot_check
from worker.runs.turn import run_next
from worker.slot.lock import hold_slot


def test_a_ring_without_a_job_does_nothing(resources: Resources, broker: Celery) -> None:
    run_next(resources, ["/nowhere/python"])
    assert count_rings(broker, "cpu") == 0


def test_the_end_of_a_run_rings_for_the_job_that_waits(resources: Resources, make_job: MakeJob, broker: Celery) -> None:
    first, second = make_job(name="first").id, make_job(name="second").id
    run_next(resources, fake_argv("fail"))
    assert get_job(resources.database, first).status is JobStatus.FAILED
    assert get_job(resources.database, second).status is JobStatus.QUEUED
    assert count_rings(broker, "cpu") == 1
    run_next(resources, fake_argv("fail"))
    assert count_rings(broker, "cpu") == 1


def test_a_worker_that_leaves_takes_no_job(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    resources.drain.request()
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.QUEUED


def test_a_second_worker_of_a_slot_takes_no_job(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    settings = resources.settings
    with hold_slot(settings.data_dir, settings.slot, host=settings.host_name, boot_id=resources.boot_id) as lock:
        assert lock is not None
        run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.QUEUED
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED


def test_a_job_whose_lease_has_ended_is_taken_up_by_the_next_ring(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    with resources.database.write() as session:
        claims.claim_next(session, slot=resources.settings.slot, device="cpu", lease_seconds=-1)
    run_next(resources, fake_argv("succeed"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 2)


@pytest.mark.parametrize(("host", "expected"), [("box", JobStatus.SUCCEEDED), ("other", JobStatus.RUNNING)])
def test_a_run_of_an_earlier_boot_is_taken_up_at_once_but_never_another_hosts(
    resources: Resources, make_job: MakeJob, host: str, expected: JobStatus
) -> None:
    job_id = make_job().id
    name = resources.settings.slot
    with resources.database.write() as session:
        slots.note_slot(session, name=name, device="cpu", host=host)
        claims.claim_next(session, slot=name, device="cpu", lease_seconds=60, boot_id="an earlier one")
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is expected


def test_a_blocked_slot_takes_no_job_until_it_is_free(
    resources: Resources, make_job: MakeJob, device: DeviceDouble
) -> None:
    job_id = make_job().id
    device.failure = "GPU 0 can't be read: GPU is lost."
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.QUEUED
    device.failure = None
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED


def test_a_drained_slot_takes_no_job_until_it_is_resumed(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    name = resources.settings.slot
    with resources.database.write() as session:
        slots.note_slot(session, name=name, device="cpu", host=resources.settings.host_name)
        slots.drain_slot(session, name=name, seen_within_seconds=60)
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.QUEUED
    with resources.database.write() as session:
        slots.resume_slot(session, name=name, seen_within_seconds=60)
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED


def test_a_slot_that_another_host_has_takes_no_job(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    with resources.database.write() as session:
        slots.note_slot(session, name=resources.settings.slot, device="cpu", host="other-box")
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.QUEUED


def test_a_job_has_an_event_when_the_memory_of_its_run_does_not_come_back(
    resources: Resources, make_job: MakeJob, device: DeviceDouble
) -> None:
    job_id = make_job().id
    check = make_slot_check(
        resources.settings,
        resources.storage,
        device,
        resources.boot_id,
        return_seconds=0.1,
        describe_missing=lambda: None,
    )
    resources = replace(resources, slot_check=check)
    device.reading = IDLE_GPU
    thread = run_in_thread(resources, "work_until_stopped")
    wait_for_first_step(resources.database, job_id)
    device.reading = replace(IDLE_GPU, memory_used_bytes=30 * GIB)
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=get_job(resources.database, job_id).team_id, job_id=job_id)
    thread.join(WAIT_SECONDS)
    last = list_events(resources.database, job_id)[-1]
    assert (last.kind, last.attempt) == ("slot_blocked", 1)
    assert "did not come back after the run. 30.0 GiB of the GPU's memory are in use" in last.message
    assert check.blocked_reason is not None


@pytest.mark.parametrize("is_another_idle", [True, False])
def test_a_blocked_slot_hands_a_ring_on_to_one_that_is_idle(
    resources: Resources, make_job: MakeJob, device: DeviceDouble, broker: Celery, is_another_idle: bool
) -> None:
    make_job()
    device.failure = "GPU 0 can't be read: GPU is lost."
    reason = None if is_another_idle else "no disk"
    with resources.database.write() as session:
        slots.note_slot(session, name="slot-1", device="cpu", host="other-box", blocked_reason=reason)
        slots.note_slot(session, name="slot-2", device="cuda", host="other-box")
    run_next(resources, fake_argv("succeed"))
    assert count_rings(broker, "cpu") == int(is_another_idle)
