"""The slot's sign of life: busy or idle, its worker is there."""

import os
import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import claims
from worker.memory import find_memory_bytes
from worker.resources import Resources

# A slot counts as absent after settings.worker_seen_seconds; several signs fit into that time.
SIGNS_PER_SEEN_TIME = 6

log = structlog.get_logger()


class Beacon:
    """A thread that notes the slot in the database every few seconds, for as long as its process lives."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._interval_seconds = resources.settings.worker_seen_seconds / SIGNS_PER_SEEN_TIME
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._shine, name="beacon", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._thread.join()

    def _shine(self) -> None:
        # Once: it doesn't change, and asking the GPU's driver takes time.
        memory_bytes = find_memory_bytes(self._resources.settings.slot_device, os.environ)
        self._note(memory_bytes)
        while not self._closing.wait(self._interval_seconds):
            # A worker that is leaving is not there for new jobs.
            if not self._resources.drain.is_requested:
                self._note(memory_bytes)

    def _note(self, memory_bytes: int | None) -> None:
        settings = self._resources.settings
        try:
            with self._resources.database.write() as session:
                claims.note_slot(
                    session,
                    name=settings.slot,
                    device=settings.slot_device,
                    host=self._resources.host,
                    memory_bytes=memory_bytes,
                )
        except SQLAlchemyError as error:
            log.warning("slot_not_noted", slot=settings.slot, reason=str(error))
