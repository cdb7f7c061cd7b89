"""The sweep repairs what no other process can repair, and changes nothing else."""

from celery import Celery

from jobs.models import Job
from jobs.priorities import PriorityClass
from jobs.records import list_events
from jobs.runs import claims, slots
from jobs.status import JobStatus, StopKind
from tests.support.brokers import count_rings
from tests.unit.worker.conftest import MakeJob
from worker.housekeeping.sweeper import sweep
from worker.resources import Resources


def note_slot(resources: Resources) -> None:
    with resources.database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")


def test_a_stalled_run_is_requeued_and_its_slot_rung(resources: Resources, make_job: MakeJob, broker: Celery) -> None:
    job_id = make_job().id
    note_slot(resources)
    with resources.database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=-1)
    sweep(resources)
    with resources.database.read() as session:
        assert session.get_one(Job, job_id).status is JobStatus.QUEUED
    assert count_rings(broker, "cpu") == 1


def test_a_running_job_gives_way_to_one_of_a_higher_class(resources: Resources, make_job: MakeJob) -> None:
    running = make_job().id
    note_slot(resources)
    with resources.database.write() as session:
        assert claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60) is not None
    waiting = make_job(name="waits").id
    sweep(resources)
    with resources.database.write() as session:
        assert session.get_one(Job, running).stop_kind is None, "one of its own class has to wait"
        session.get_one(Job, waiting).priority_class = PriorityClass.URGENT
    for _ in range(2):
        sweep(resources)
    with resources.database.read() as session:
        assert session.get_one(Job, running).stop_kind is StopKind.PREEMPT
        kinds = [event.kind for event in list_events(session, job_id=running, after=0, limit=100)]
    assert kinds.count("preempt_requested") == 1


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


def test_rings_do_not_accumulate_where_no_slot_listens(resources: Resources, broker: Celery) -> None:
    note_slot(resources)
    for _ in range(5):
        resources.doorbell.ring()
    sweep(resources)
    assert (count_rings(broker, "cpu"), count_rings(broker, "cuda")) == (5, 0)


def test_the_end_of_a_sweep_is_noted(resources: Resources) -> None:
    assert resources.storage.get_sweep_age_seconds(resources.settings.host_name) is None
    sweep(resources)
    age_seconds = resources.storage.get_sweep_age_seconds(resources.settings.host_name)
    assert age_seconds is not None
    assert age_seconds < 60


def test_a_sweep_that_can_not_be_noted_is_one_all_the_same(resources: Resources) -> None:
    (resources.storage.root / "swept").write_text("in the way")
    sweep(resources)
    assert resources.storage.get_sweep_age_seconds(resources.settings.host_name) is None
