"""The slot's sign of life: what its worker knows about it, and why it is blocked if it is."""

import dataclasses
import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs.runs import slots
from worker.resources import Resources
from worker.slot.gpu import DeviceReading, GpuUnreadable
from worker.trainers.spares import NO_SPARES, Spares

# A slot counts as absent after settings.worker_seen_seconds; several signs fit into that time.
SIGNS_PER_SEEN_TIME = 6

log = structlog.get_logger()


class Beacon:
    """A thread that notes the slot in the database every few seconds, for as long as its process lives.

    Each time it also checks again whether the slot is blocked, and has the slot's spare training process kept.
    """

    def __init__(self, resources: Resources, spares: Spares = NO_SPARES) -> None:
        self._resources = resources
        self._spares = spares
        self._interval_seconds = resources.settings.worker_seen_seconds / SIGNS_PER_SEEN_TIME
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._shine, name="beacon", daemon=True)
        self._was_blocked = False
        # The slot's properties stay the same while its device can't be read.
        self._known = DeviceReading()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._thread.join()

    def _shine(self) -> None:
        self._give_sign()
        while not self._closing.wait(self._interval_seconds):
            # A worker that is leaving takes no new jobs.
            if self._resources.drain.is_requested:
                self._spares.close()
            else:
                self._give_sign()

    def _give_sign(self) -> None:
        settings, check = self._resources.settings, self._resources.slot_check
        try:
            mismatch = self._resources.find_mismatch()
            if mismatch is not None:
                # Before the queries that follow, which may not work with this schema.
                check.refuse(mismatch)
            other_host = self._find_other_host()
            check.refuse(mismatch or (None if other_host is None else self._describe_refusal(other_host)))
            blocked_reason = check.recheck()
            if other_host is None:
                self._note(blocked_reason)
            self._spares.keep(is_open=self._is_open())
        except SQLAlchemyError as error:
            log.warning("slot_not_noted", slot=settings.slot, reason=str(error))
            return
        if self._was_blocked and blocked_reason is None:
            # Messages that arrived while the slot was blocked had no effect.
            self._resources.doorbell.ring_device(settings.slot_device)
        self._was_blocked = blocked_reason is not None

    def _find_other_host(self) -> str | None:
        settings = self._resources.settings
        with self._resources.database.read() as session:
            return slots.find_other_host(
                session, name=settings.slot, host=settings.host_name, within_seconds=settings.worker_seen_seconds
            )

    def _is_open(self) -> bool:
        settings = self._resources.settings
        with self._resources.database.read() as session:
            return slots.is_open(
                session, name=settings.slot, host=settings.host_name, within_seconds=settings.worker_seen_seconds
            )

    def _describe_refusal(self, other_host: str) -> str:
        settings = self._resources.settings
        return (
            f"A worker on {other_host} runs a slot of this name, so that of {settings.host_name} takes no job. "
            "Give one of them another EMOTUNE_SLOT."
        )

    def _note(self, blocked_reason: str | None) -> None:
        settings = self._resources.settings
        reading = self._read()
        with self._resources.database.write() as session:
            slots.note_slot(
                session,
                name=settings.slot,
                device=settings.slot_device,
                host=settings.host_name,
                boot_id=self._resources.boot_id,
                size=settings.slot_size,
                blocked_reason=blocked_reason,
                **dataclasses.asdict(reading),
            )

    def _read(self) -> DeviceReading:
        try:
            reading = self._resources.device.read()
        except GpuUnreadable:
            # The slot's check reports why.
            return self._known
        self._known = DeviceReading(
            memory_bytes=reading.memory_bytes, gpu_name=reading.gpu_name, gpu_uuid=reading.gpu_uuid
        )
        return reading
