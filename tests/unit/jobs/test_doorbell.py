"""The doorbell, with a broker in memory or without any."""

import socket
import time

import pytest
from celery import Celery

from jobs.doorbell import COLLECT_TASK, HOUSEKEEPING_QUEUE, RUN_TASK, SWEEP_TASK, Doorbell, get_slot_queue, make_celery
from jobs.settings import Settings
from tests.support.brokers import count_rings, make_memory_broker

# A ring without a broker must not delay a request; this is far below the time of Celery's own retries.
PATIENCE_SECONDS = 4.0


@pytest.fixture
def broker() -> Celery:
    return make_memory_broker()


def test_a_ring_for_any_slot_reaches_both_kinds(broker: Celery) -> None:
    Doorbell(broker).ring()
    assert (count_rings(broker, "cpu"), count_rings(broker, "cuda")) == (1, 1)


def test_a_ring_for_cuda_leaves_the_cpu_slots_asleep(broker: Celery) -> None:
    Doorbell(broker).ring(needs_cuda=True)
    assert (count_rings(broker, "cpu"), count_rings(broker, "cuda")) == (0, 1)


def test_rings_without_a_listener_can_be_dropped(broker: Celery) -> None:
    doorbell = Doorbell(broker)
    for _ in range(3):
        doorbell.ring()
    doorbell.silence("cuda")
    assert (count_rings(broker, "cpu"), count_rings(broker, "cuda")) == (3, 0)


def test_without_a_broker_a_ring_is_soon_over_and_no_error() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    celery = make_celery(Settings(redis_url=f"redis://127.0.0.1:{port}/0"))
    began = time.monotonic()
    Doorbell(celery).ring_device("cpu")
    assert time.monotonic() - began < PATIENCE_SECONDS


def test_a_message_is_a_doorbell_that_may_be_lost() -> None:
    conf = make_celery(Settings(slot_device="cuda")).conf
    assert not conf.task_acks_late
    assert conf.task_ignore_result
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_routes == {
        RUN_TASK: {"queue": "slots.cuda"},
        SWEEP_TASK: {"queue": HOUSEKEEPING_QUEUE},
        COLLECT_TASK: {"queue": HOUSEKEEPING_QUEUE},
    }
    assert get_slot_queue("cpu") == "slots.cpu"


def test_sweeps_that_nobody_took_do_not_accumulate() -> None:
    settings = Settings(sweep_seconds=7)
    entry = make_celery(settings).conf.beat_schedule["sweep"]
    assert (entry["task"], entry["schedule"], entry["options"]) == (SWEEP_TASK, 7, {"expires": 7})
