"""The verbs on slots."""

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from jobs import records
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.errors import SlotNotFound
from jobs.models import Dataset, Slot
from jobs.runs import claims, slots
from jobs.runs.slots import SlotStatus
from tests.support.posting import post_job


def note(session: Session, name: str = "slot-0", *, host: str = "box", blocked_reason: str | None = None) -> None:
    slots.note_slot(session, name=name, device="cpu", host=host, blocked_reason=blocked_reason)


def start_job(session: Session, dataset: Dataset, slot: str) -> str:
    post_job(session, dataset, name="warm")
    job = claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
    assert job is not None
    return job.id


def get_status(session: Session, name: str = "slot-0", *, within: float = 60) -> SlotStatus:
    (view,) = [view for view in slots.list_slots(session, seen_within_seconds=within) if view.slot.name == name]
    return view.status


def test_only_slots_heard_of_lately_are_seen(database: Database) -> None:
    with database.write() as session:
        note(session)
    with database.read() as session:
        assert [slot.name for slot in slots.list_slots_seen(session, within_seconds=60)] == ["slot-0"]
        assert slots.list_slots_seen(session, within_seconds=0) == []


def test_a_sign_of_life_replaces_what_the_one_before_told(database: Database) -> None:
    with database.write() as session:
        slots.note_slot(
            session,
            name="slot-0",
            device="cuda",
            host="box",
            boot_id="first",
            size=2.0,
            memory_bytes=80,
            memory_used_bytes=3,
            gpu_name="NVIDIA Test 100",
            gpu_uuid="GPU-1",
            utilization_percent=7.0,
            temperature_celsius=40.0,
            power_watts=90.0,
            blocked_reason="busy",
        )
    with database.read() as session:
        slot = session.get_one(Slot, "slot-0")
        assert (slot.boot_id, slot.size, slot.gpu_uuid, slot.power_watts) == ("first", 2.0, "GPU-1", 90.0)
        assert (slot.memory_bytes, slot.memory_used_bytes, slot.blocked_reason) == (80, 3, "busy")
    with database.write() as session:
        note(session)
    with database.read() as session:
        slot = session.get_one(Slot, "slot-0")
        assert (slot.device, slot.boot_id, slot.gpu_uuid, slot.blocked_reason) == ("cpu", None, None, None)


def test_a_slots_status_tells_what_matters_most(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        note(session)
        assert get_status(session) is SlotStatus.IDLE
        note(session, blocked_reason="no disk")
        assert get_status(session) is SlotStatus.BLOCKED
        assert slots.drain_slot(session, name="slot-0", seen_within_seconds=60).status is SlotStatus.DRAINED
        note(session, blocked_reason="no disk")
        assert get_status(session) is SlotStatus.DRAINED, "the operator's word outlives a sign of life"
        assert slots.resume_slot(session, name="slot-0", seen_within_seconds=60).status is SlotStatus.BLOCKED
        note(session)
        start_job(session, dataset, "slot-0")
        assert get_status(session) is SlotStatus.RUNNING
        assert get_status(session, within=0) is SlotStatus.AWAY


def test_a_slot_is_shown_with_the_job_that_runs_there(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        note(session, "slot-0")
        note(session, "slot-1")
        job_id = start_job(session, dataset, "slot-1")
        views = slots.list_slots(session, seen_within_seconds=60)
        drained = slots.drain_slot(session, name="slot-1", seen_within_seconds=60)
    assert [(view.slot.name, view.job and view.job.id) for view in views] == [("slot-0", None), ("slot-1", job_id)]
    assert drained.job is not None
    assert drained.status is SlotStatus.RUNNING, "the job that runs goes on"


def test_draining_twice_keeps_the_first_date_and_an_unknown_slot_is_refused(database: Database) -> None:
    with database.write() as session:
        note(session)
        first = slots.drain_slot(session, name="slot-0", seen_within_seconds=60).slot.drained_at
        assert slots.drain_slot(session, name="slot-0", seen_within_seconds=60).slot.drained_at == first
        for verb in (slots.drain_slot, slots.resume_slot):
            with pytest.raises(SlotNotFound):
                verb(session, name="slot-7", seen_within_seconds=60)


def test_a_slot_is_open_to_its_own_host_alone(database: Database) -> None:
    def is_open(session: Session, host: str, within_seconds: float = 60) -> bool:
        return slots.is_open(session, name="slot-0", host=host, within_seconds=within_seconds)

    with database.write() as session:
        assert is_open(session, "box"), "before its first sign of life, too"
        note(session)
        assert (is_open(session, "box"), is_open(session, "other-box")) == (True, False)
        assert slots.find_other_host(session, name="slot-0", host="other-box", within_seconds=60) == "box"
        session.get_one(Slot, "slot-0").seen_at = utc_now() - timedelta(seconds=61)
        session.flush()
        assert is_open(session, "other-box"), "the first one was last seen long ago"
        slots.drain_slot(session, name="slot-0", seen_within_seconds=60)
        assert not is_open(session, "box")


def test_a_job_is_told_why_its_slot_is_blocked(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        note(session)
        job_id = start_job(session, dataset, "slot-0")
        slots.record_blocked(session, job_id=job_id, attempt=1, message="Memory is missing.")
    with database.read() as session:
        event = records.list_events(session, job_id=job_id, after=0, limit=10)[-1]
    assert (event.kind, event.attempt, event.message) == ("slot_blocked", 1, "Memory is missing.")
