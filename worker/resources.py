"""Resources: the settings, connections and devices that the tasks of one process share."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from celery import Celery

from emomodel.train_extra import describe_missing
from jobs.database.engine import Database
from jobs.database.schema import find_mismatch, get_known_schema
from jobs.doorbell import Doorbell
from jobs.files.storage import Storage, open_storage
from jobs.runs.metrics import MetricStream, make_redis
from jobs.settings import Settings
from jobs.telemetry.tracing import NO_TRACING, Tracing, open_tracing
from worker.clock_watch import ClockWatch
from worker.drain import Drain
from worker.host import get_boot_id
from worker.slot.gpu import Cpu, Gpu, SlotDevice
from worker.slot.lock import get_lock_path
from worker.slot.readiness import RETURN_SECONDS, SlotCheck

log = structlog.get_logger()


@dataclass(frozen=True)
class Resources:
    """What one process works with. Opened in the process that uses it: a connection must not be forked."""

    settings: Settings
    database: Database
    storage: Storage
    stream: MetricStream
    doorbell: Doorbell
    drain: Drain
    device: SlotDevice
    slot_check: SlotCheck
    boot_id: str
    clock_watch: ClockWatch
    tracing: Tracing = NO_TRACING

    @classmethod
    def open(cls, settings: Settings, celery: Celery, drain: Drain) -> "Resources":
        storage = open_storage(settings)
        device = Cpu() if settings.slot_device == "cpu" else Gpu(settings.slot_gpu)
        boot_id = get_boot_id()
        get_known_schema()
        return cls(
            settings=settings,
            database=Database(settings.sqlalchemy_url),
            storage=storage,
            stream=MetricStream(
                make_redis(settings),
                length=settings.metric_stream_length,
                expire_seconds=settings.metric_stream_seconds,
            ),
            doorbell=Doorbell(celery),
            drain=drain,
            device=device,
            slot_check=make_slot_check(settings, storage, device, boot_id),
            boot_id=boot_id,
            clock_watch=ClockWatch(rest_seconds=settings.lease_seconds),
            tracing=open_tracing("emotune-worker", host=settings.host_name),
        )

    def find_mismatch(self) -> str | None:
        """Return why this process must not work with the database's current schema, or None."""
        with self.database.read() as session:
            return find_mismatch(session.connection())

    def may_work(self) -> bool:
        """Whether this process may work with the database's current schema. If not, the reason is logged."""
        mismatch = self.find_mismatch()
        if mismatch is not None:
            log.error("schema_refused", reason=mismatch)
        return mismatch is None


def make_slot_check(
    settings: Settings,
    storage: Storage,
    device: SlotDevice,
    boot_id: str,
    *,
    return_seconds: float = RETURN_SECONDS,
    describe_missing: Callable[[], str | None] = describe_missing,
) -> SlotCheck:
    """The check of the slot in these settings. `describe_missing`: what its training processes could not import."""
    return SlotCheck(
        slot=settings.slot,
        device=device,
        storage=storage,
        min_free_bytes=settings.min_free_disk_bytes,
        max_used_bytes=settings.slot_max_used_bytes,
        lock_path=get_lock_path(settings.data_dir, settings.slot, host=settings.host_name),
        boot_id=boot_id,
        return_seconds=return_seconds,
        describe_missing=describe_missing,
    )
