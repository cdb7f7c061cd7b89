"""A worker's resources without servers: SQLite, a folder, and streams and a broker in memory."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from celery import Celery

from emomodel.config import TrainConfig
from jobs.database.engine import Database
from jobs.doorbell import Doorbell
from jobs.files.storage import Storage
from jobs.models import Dataset, Job
from jobs.runs.metrics import MetricStream
from jobs.settings import Settings
from tests.support.brokers import make_memory_broker
from tests.support.gpus import DeviceDouble
from tests.support.posting import post_job
from tests.support.redis_doubles import MemoryRedis
from worker.clock_watch import ClockWatch
from worker.drain import Drain
from worker.resources import Resources, make_slot_check

BOOT_ID = "this-boot"
FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")

MakeJob = Callable[..., Job]


@pytest.fixture
def worker_settings(settings: Settings) -> Settings:
    """Settings that are fast enough for tests, with a lease long enough for a busy machine."""
    return settings.model_copy(
        update={
            "heartbeat_seconds": 0.05,
            "metric_flush_seconds": 0.1,
            "lease_seconds": 20.0,
            "stop_grace_seconds": 0.4,
            "kill_grace_seconds": 0.4,
        }
    )


@pytest.fixture
def redis() -> MemoryRedis:
    return MemoryRedis()


@pytest.fixture
def broker() -> Celery:
    return make_memory_broker()


@pytest.fixture
def device() -> DeviceDouble:
    """The device of the slot: a CPU, unless a test overrides it with a GPU."""
    return DeviceDouble()


@pytest.fixture
def resources(
    worker_settings: Settings, database: Database, redis: MemoryRedis, broker: Celery, device: DeviceDouble
) -> Resources:
    storage = Storage(worker_settings.data_dir)
    return Resources(
        settings=worker_settings,
        database=database,
        storage=storage,
        stream=MetricStream(redis.as_client(), length=1000, expire_seconds=60),
        doorbell=Doorbell(broker),
        drain=Drain(),
        device=device,
        slot_check=make_slot_check(
            # Trainings run in a fake child process, which imports none of the packages.
            worker_settings,
            storage,
            device,
            BOOT_ID,
            describe_missing=lambda: None,
        ),
        boot_id=BOOT_ID,
        clock_watch=ClockWatch(rest_seconds=worker_settings.lease_seconds),
    )


@pytest.fixture
def make_job(database: Database, dataset: Dataset) -> MakeJob:
    """Return a function that queues a job."""

    def make(*, name: str = "tune", base_model: str = "tiny-gemma", config: TrainConfig | None = None) -> Job:
        with database.write() as session:
            return post_job(session, dataset, name=name, base_model=base_model, config=config or TrainConfig())

    return make


def fake_argv(scenario: str) -> list[str]:
    """Return the command line of a fake training process; the request's path follows."""
    return [sys.executable, str(FAKE_TRAINER), scenario]
