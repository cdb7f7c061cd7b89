"""SlotCheck: whether a job may start on the slot now: packages, disk, store, and a GPU that is not in use."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from jobs.errors import StorageUnreachable
from jobs.files.storage import Storage
from worker.slot.gpu import GpuUnreadable, SlotDevice
from worker.slot.lock import SlotLock, has_living_trainer
from worker.slot.memory_holders import describe_holders, describe_size

# A driver takes a moment to free a dead process's memory.
RETURN_SECONDS = 10.0
POLL_SECONDS = 0.25

log = structlog.get_logger()


class SlotCheck:
    """Asked by the run before each claim, and by the beacon in between. A change of the answer is logged."""

    def __init__(
        self,
        *,
        slot: str,
        device: SlotDevice,
        storage: Storage,
        min_free_bytes: int,
        max_used_bytes: int,
        lock_path: Path,
        boot_id: str,
        return_seconds: float,
        describe_missing: Callable[[], str | None],
    ) -> None:
        self._slot = slot
        self._device = device
        self._storage = storage
        self._min_free_bytes = min_free_bytes
        self._max_used_bytes = max_used_bytes
        self._lock_path = lock_path
        self._boot_id = boot_id
        self._return_seconds = return_seconds
        self._describe_missing = describe_missing
        self._refusal: str | None = None
        self._end: str | None = None
        self._is_occupied = False
        self._turn = threading.Lock()
        self.blocked_reason: str | None = None

    def find_obstacle(self) -> str | None:
        """Return why no job may start here now, or None."""
        with self._turn:
            self._settle(
                self._end
                or self._refusal
                or self._find_missing_packages()
                or self._find_full_disk()
                or self._find_missing_store()
                or self._find_used_memory()
            )
            return self.blocked_reason

    def recheck(self) -> str | None:
        """Check again between runs. During a run its own GPU use is no obstacle, and the last answer stays."""
        if self._is_occupied or has_living_trainer(self._lock_path, boot_id=self._boot_id):
            return self.blocked_reason
        return self.find_obstacle()

    def refuse(self, reason: str | None) -> None:
        """Let no job start, for a reason that was found elsewhere; None lifts the refusal."""
        self._refusal = reason

    def give_up(self, reason: str) -> None:
        """Let no job start until this process is restarted."""
        self._end = reason

    @contextmanager
    def occupy(self) -> Iterator[None]:
        """Mark the slot as running a job, so that the job's own use of the GPU is not an obstacle."""
        self._is_occupied = True
        try:
            yield
        finally:
            self._is_occupied = False

    def wait_until_free(self, lock: SlotLock) -> str | None:
        """Wait after a run until its memory is free again. Returns why the slot is blocked, or None.

        The rest of the run's session is ended; other processes that hold memory belong to somebody else.
        """
        with self._turn:
            used = self._wait_for_memory()
            if used is not None and lock.end_last_trainer():
                used = self._wait_for_memory()
            if used is not None:
                self._settle(used)
            return used

    def _wait_for_memory(self) -> str | None:
        deadline = time.monotonic() + self._return_seconds
        while (used := self._find_used_memory()) is not None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        return used

    def _find_missing_packages(self) -> str | None:
        missing = self._describe_missing()
        return None if missing is None else f"This worker can't train, as {missing}."

    def _find_full_disk(self) -> str | None:
        try:
            free_bytes = self._storage.get_free_bytes()
        except OSError as error:
            # For example a network disk that is unavailable. The slot must survive that.
            return f"The data folder can't be used: {error}."
        if free_bytes >= self._min_free_bytes:
            return None
        return (
            f"Only {describe_size(free_bytes)} of disk are free, less than the "
            f"{describe_size(self._min_free_bytes)} of EMOTUNE_MIN_FREE_DISK_BYTES: a run's files might not fit."
        )

    def _find_missing_store(self) -> str | None:
        try:
            self._storage.store.check()
        except StorageUnreachable as error:
            return error.message
        return None

    def _find_used_memory(self) -> str | None:
        try:
            reading, processes = self._device.read(), self._device.list_processes()
        except GpuUnreadable as error:
            return str(error)
        computing = [process for process in processes if process.computes]
        if computing:
            return f"The GPU is in use by {describe_holders(computing)}."
        used_bytes = reading.memory_used_bytes or 0
        if used_bytes <= self._max_used_bytes:
            return None
        holders = describe_holders(processes) if processes else "processes that can't be seen from here"
        return (
            f"{describe_size(used_bytes)} of the GPU's memory are in use, more than the "
            f"{describe_size(self._max_used_bytes)} of EMOTUNE_SLOT_MAX_USED_BYTES, by {holders}."
        )

    def _settle(self, reason: str | None) -> None:
        if reason == self.blocked_reason:
            return
        if reason is None:
            log.info("slot_unblocked", slot=self._slot)
        else:
            log.warning("slot_blocked", slot=self._slot, reason=reason)
        self.blocked_reason = reason
