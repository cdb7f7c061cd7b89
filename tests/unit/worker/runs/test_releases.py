"""A worker whose database or job is of a newer release: a run continues, and none starts that would break."""

import threading

from sqlalchemy import update

from jobs.database.engine import Database
from jobs.models import Job, Slot
from jobs.runs import slots, stops
from jobs.status import JobStatus
from tests.support.newer_schemas import NEWER, migrate_further
from tests.support.waiting import wait_for
from tests.unit.worker.conftest import MakeJob, fake_argv
from worker.beacon import Beacon
from worker.housekeeping.garbage import collect_garbage
from worker.housekeeping.sweeper import sweep
from worker.resources import Resources
from worker.runs.turn import run_next


def get_job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def test_a_run_continues_while_a_newer_release_migrates_and_no_other_begins(
    resources: Resources, make_job: MakeJob
) -> None:
    running, waiting = make_job().id, make_job().id
    thread = threading.Thread(target=run_next, args=[resources, fake_argv("work_until_stopped")])
    thread.start()
    wait_for(lambda: get_job(resources.database, running).step > 0)
    migrate_further(resources.database, oldest_code=NEWER)
    heartbeat_at = get_job(resources.database, running).heartbeat_at
    wait_for(lambda: get_job(resources.database, running).heartbeat_at != heartbeat_at)
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=get_job(resources.database, running).team_id, job_id=running)
    thread.join()
    assert get_job(resources.database, running).status is JobStatus.CANCELLED
    run_next(resources, fake_argv("succeed"))
    assert (get_job(resources.database, waiting).status, get_job(resources.database, waiting).attempt) == ("queued", 0)


def test_a_newer_schema_that_only_adds_is_worked_with(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    migrate_further(resources.database)
    sweep(resources)
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED


def test_the_housekeeping_leaves_a_schema_alone_that_is_not_its_own(resources: Resources, make_job: MakeJob) -> None:
    make_job()
    migrate_further(resources.database, oldest_code=NEWER)
    sweep(resources)
    collect_garbage(resources)
    assert resources.storage.get_sweep_age_seconds(resources.settings.host_name) is None


def test_the_slot_says_that_the_schema_is_not_its_own(resources: Resources) -> None:
    migrate_further(resources.database, oldest_code=NEWER)
    beacon = Beacon(resources)
    beacon.start()

    def find_reason() -> str | None:
        with resources.database.read() as session:
            slot = session.get(Slot, resources.settings.slot)
            return slot.blocked_reason if slot else None

    wait_for(lambda: "install the newer release" in (find_reason() or ""))
    beacon.stop()


def test_a_config_of_a_newer_release_waits_for_a_worker_of_that_one(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    with resources.database.write() as session:
        session.execute(update(Job).values(config=job.config | {"mood": "bright", "tempo": 3}))
    for _ in range(2):
        run_next(resources, fake_argv("succeed"))
    found = get_job(resources.database, job.id)
    assert (found.status, found.attempt, found.error_code) == (JobStatus.QUEUED, 1, None)
    assert "mood, tempo" in (resources.slot_check.blocked_reason or "")


def test_a_config_that_is_wrong_for_every_release_fails_at_once(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    with resources.database.write() as session:
        session.execute(update(Job).values(config=job.config | {"batch_size": 0}))
    run_next(resources, fake_argv("succeed"))
    found = get_job(resources.database, job.id)
    assert (found.status, found.error_code) == (JobStatus.FAILED, "config_invalid")
    assert "batch_size" in (found.error_message or "")
    assert resources.slot_check.blocked_reason is None


def test_a_workers_release_is_noted_again_when_it_is_updated(resources: Resources) -> None:
    with resources.database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="box")
        session.execute(update(Slot).values(emotune_version="0.0.9"))
        assert session.get_one(Slot, "slot-0").emotune_version == "0.0.9"
        slots.note_slot(session, name="slot-0", device="cpu", host="box")
    with resources.database.read() as session:
        (view,) = slots.list_slots(session, seen_within_seconds=30)
    assert not view.is_other_release
