"""The slot's beacon: what it reports, and what it finds out."""

from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest
from celery import Celery

from jobs.clock import utc_now
from jobs.models import Slot
from jobs.runs import slots
from tests.support.brokers import count_rings
from tests.support.gpus import IDLE_GPU, DeviceDouble
from tests.support.waiting import wait_for
from worker.beacon import Beacon
from worker.resources import Resources
from worker.slot.gpu import Cpu


@pytest.fixture
def resources(resources: Resources) -> Resources:
    """A sign every 50 ms."""
    return replace(resources, settings=resources.settings.model_copy(update={"worker_seen_seconds": 0.3}))


@pytest.fixture
def beacon(resources: Resources) -> Iterator[Beacon]:
    beacon = Beacon(resources)
    beacon.start()
    yield beacon
    beacon.stop()


def find_slot(resources: Resources) -> Slot | None:
    with resources.database.read() as session:
        return session.get(Slot, resources.settings.slot)


def get_slot(resources: Resources) -> Slot:
    wait_for(lambda: find_slot(resources) is not None)
    slot = find_slot(resources)
    assert slot is not None
    return slot


def is_seen(resources: Resources) -> bool:
    with resources.database.read() as session:
        return slots.list_slots_seen(session, within_seconds=0.3) != []


def test_a_slot_is_heard_of_until_its_worker_leaves(resources: Resources, beacon: Beacon) -> None:
    wait_for(lambda: is_seen(resources))
    resources.drain.request()
    wait_for(lambda: not is_seen(resources))


def test_a_cpu_slot_tells_its_machine(resources: Resources) -> None:
    beacon = Beacon(replace(resources, device=Cpu()))
    beacon.start()
    slot = get_slot(resources)
    beacon.stop()
    assert (slot.device, slot.host, slot.boot_id, slot.size) == ("cpu", "box", "this-boot", 1.0)
    assert slot.memory_bytes == psutil.virtual_memory().total
    assert (slot.gpu_name, slot.gpu_uuid, slot.memory_used_bytes, slot.power_watts) == (None, None, None, None)


def test_a_gpu_slot_tells_its_gpu_and_how_it_is(resources: Resources, device: DeviceDouble) -> None:
    device.reading = IDLE_GPU
    settings = resources.settings.model_copy(update={"slot_size": 2.5, "slot_device": "cuda"})
    beacon = Beacon(replace(resources, settings=settings))
    beacon.start()
    slot = get_slot(resources)
    assert (slot.gpu_name, slot.gpu_uuid) == (IDLE_GPU.gpu_name, IDLE_GPU.gpu_uuid)
    assert (slot.memory_bytes, slot.memory_used_bytes, slot.size) == (IDLE_GPU.memory_bytes, 0, 2.5)
    assert (slot.temperature_celsius, slot.utilization_percent, slot.power_watts) == (31.0, 0.0, 70.5)

    device.failure = "GPU 0 can't be read: GPU is lost."
    wait_for(lambda: get_slot(resources).blocked_reason is not None)
    beacon.stop()
    slot = get_slot(resources)
    assert (slot.gpu_name, slot.memory_bytes) == (IDLE_GPU.gpu_name, IDLE_GPU.memory_bytes), "it is still that GPU"
    assert slot.temperature_celsius is None


def test_a_slot_that_is_free_again_looks_for_work(
    resources: Resources, device: DeviceDouble, beacon: Beacon, broker: Celery
) -> None:
    wait_for(lambda: is_seen(resources))
    assert count_rings(broker, "cpu") == 0
    device.failure = "GPU 0 can't be read: GPU is lost."
    wait_for(lambda: get_slot(resources).blocked_reason == device.failure)
    device.failure = None
    wait_for(lambda: get_slot(resources).blocked_reason is None)
    wait_for(lambda: count_rings(broker, "cpu") == 1)


def test_a_slots_name_that_another_host_uses_is_left_to_it(resources: Resources) -> None:
    with resources.database.write() as session:
        slots.note_slot(session, name=resources.settings.slot, device="cpu", host="other-box")
    beacon = Beacon(replace(resources, settings=resources.settings.model_copy(update={"worker_seen_seconds": 1.2})))
    beacon.start()
    wait_for(lambda: resources.slot_check.blocked_reason is not None)
    assert get_slot(resources).host == "other-box"
    assert "A worker on other-box runs a slot of this name" in (resources.slot_check.find_obstacle() or "")
    # The other one has not been seen any more, so the name is free.
    wait_for(lambda: get_slot(resources).host == "box")
    beacon.stop()
    assert resources.slot_check.find_obstacle() is None
    assert get_slot(resources).blocked_reason is None


def test_the_operators_drain_outlives_the_signs_of_life(resources: Resources, beacon: Beacon) -> None:
    get_slot(resources)
    with resources.database.write() as session:
        slots.drain_slot(session, name=resources.settings.slot, seen_within_seconds=1)
    since = utc_now()
    wait_for(lambda: get_slot(resources).seen_at > since)
    assert get_slot(resources).drained_at is not None
