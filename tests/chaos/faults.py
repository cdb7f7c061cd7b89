"""Faults: each kind is a method of Faults, which returns what it hit, or None if there was nothing to hit."""

import contextlib
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psutil
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from jobs.database.engine import Database
from jobs.doorbell import RUN_TASK, Doorbell, get_slot_queue, make_celery
from jobs.models import Job, Slot
from jobs.status import JobStatus
from tests.chaos.plan import PlannedFault
from tests.support.system import System
from tests.support.timeline import Timeline

FORWARD_STEP = timedelta(hours=1)
BACKWARD_STEP = timedelta(seconds=4)
DOUBLED_RINGS = 30
# A second worker that has not left by then is killed.
LEAVE_SECONDS = 15.0
LOOK_SECONDS = 0.25


@dataclass
class Hit:
    """A fault that took place. Times are seconds since the epoch; `slot` is None for a fault that hits all slots."""

    kind: str
    at: float
    until: float
    slot: str | None
    detail: str


class Faults:
    """Injects planned faults into a system, in the timeline's thread."""

    def __init__(self, system: System, timeline: Timeline, database: Database, *, filler_bytes: int) -> None:
        self._system = system
        self._timeline = timeline
        self._database = database
        self._filler_bytes = filler_bytes
        self._celery = make_celery(system.settings)
        self.hits: list[Hit] = []
        self.missed: list[str] = []
        # For each worker that got a SIGTERM, the seconds until it ended.
        self.drains: list[tuple[Hit, float]] = []
        self._lasting_count = 0
        # Whether this process locks SQLite's file; waiting for the lock in the timeline's thread would never end.
        self._has_lock = False

    @property
    def are_over(self) -> bool:
        """Whether each lasting fault has been undone."""
        return self._lasting_count == 0

    def inject(self, fault: PlannedFault) -> None:
        slot = self._choose_slot(fault)
        at = time.time()
        method: Callable[[str, float], str | None] = getattr(self, f"_{fault.kind}")
        try:
            detail = method(slot, fault.seconds)
        except (psutil.NoSuchProcess, ProcessLookupError, SQLAlchemyError):
            # Another fault hit the same thing first.
            detail = None
        if detail is None:
            self.missed.append(fault.kind)
            return
        hits_all = fault.kind in HITS_ALL
        # A second worker is asked to leave at the end of its time, and may take a while.
        lasts = fault.seconds + (LEAVE_SECONDS if fault.kind == "second_worker" else 0)
        hit = Hit(fault.kind, at, time.time() + lasts, None if hits_all else slot, detail)
        self.hits.append(hit)
        if fault.kind == "worker_terminated":
            self._time_drain(hit, slot)

    def _choose_slot(self, fault: PlannedFault) -> str:
        """Choose the first slot with a training process, from the planned one on; the planned one if none has any."""
        slots = self._system.slots[fault.slot :] + self._system.slots[: fault.slot]
        return next((slot for slot in slots if self._system.find_trainer(slot) is not None), slots[0])

    # Faults of processes

    def _trainer_killed(self, slot: str, _: float) -> str | None:
        return _kill(self._system.find_trainer(slot))

    def _trainer_terminated(self, slot: str, _: float) -> str | None:
        """SIGTERM, as a machine that shuts down sends it to all of its processes."""
        trainer = self._system.find_trainer(slot)
        if trainer is None:
            return None
        trainer.terminate()
        return f"pid {trainer.pid}"

    def _child_killed(self, slot: str, _: float) -> str | None:
        return _kill(self._system.find_pool_child(slot))

    def _worker_killed(self, slot: str, _: float) -> str | None:
        return _kill(self._find_main(slot))

    def _housekeeping_killed(self, _slot: str, _: float) -> str | None:
        return _kill(self._find_main("housekeeping"))

    def _api_killed(self, _slot: str, _: float) -> str | None:
        return _kill(self._find_main("api"))

    def _worker_terminated(self, slot: str, _: float) -> str | None:
        main = self._find_main(slot)
        if main is None or main.status() == psutil.STATUS_STOPPED:
            return None
        main.terminate()
        return f"pid {main.pid}"

    def _worker_stopped(self, slot: str, seconds: float) -> str | None:
        return self._pause([self._find_main(slot), self._system.find_pool_child(slot)], seconds)

    def _child_stopped(self, slot: str, seconds: float) -> str | None:
        return self._pause([self._system.find_pool_child(slot)], seconds)

    def _trainer_stopped(self, slot: str, seconds: float) -> str | None:
        return self._pause([self._system.find_trainer(slot)], seconds)

    _trainer_stalled = _trainer_stopped

    def _spare_killed(self, slot: str, _: float) -> str | None:
        return _kill(self._system.find_spare(slot))

    def _spare_stopped(self, slot: str, seconds: float) -> str | None:
        return self._pause([self._system.find_spare(slot)], seconds)

    def _second_worker(self, slot: str, seconds: float) -> str | None:
        component = self._system.components[slot]
        extra = self._system.start_extra(f"{slot}-twin", component.argv, component.settings)

        def look(tries_left: int) -> None:
            if not extra.is_running:
                return
            if tries_left:
                self._later(LOOK_SECONDS, lambda: look(tries_left - 1))
            else:
                os.killpg(extra.popen.pid, signal.SIGKILL)

        def leave() -> None:
            extra.popen.terminate()
            look(round(LEAVE_SECONDS / LOOK_SECONDS))

        self._later(seconds, leave)
        return f"pid {extra.popen.pid}"

    def _rebooted(self, _slot: str, seconds: float) -> str | None:
        processes = self._system.list_marked()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self._system.postgres is not None:
            self._system.postgres.stop(signal.SIGQUIT)
            self._later(seconds, self._system.postgres.start)
        return f"{len(processes)} processes"

    # Faults of what the processes need

    def _redis_wiped(self, _slot: str, _: float) -> str | None:
        killed = _kill(self._find_main("valkey"))
        self._system.wipe_redis()
        return killed

    def _database_restarted(self, _slot: str, seconds: float) -> str | None:
        return self._restart_postgres(signal.SIGINT, seconds)

    def _database_crashed(self, _slot: str, seconds: float) -> str | None:
        return self._restart_postgres(signal.SIGQUIT, seconds)

    def _database_locked(self, _slot: str, seconds: float) -> str | None:
        path = self._system.settings.sqlalchemy_url.removeprefix("sqlite:///")
        connection = sqlite3.connect(path, timeout=2, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            connection.close()
            return None
        self._has_lock = True

        def unlock() -> None:
            connection.close()
            self._has_lock = False

        self._later(seconds, unlock)
        return f"for {seconds:.1f} s"

    _database_locked_long = _database_locked

    def _disk_filled(self, _slot: str, seconds: float) -> str | None:
        filler = self._system.settings.data_dir / "filler"
        if filler.exists():
            return None
        with filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, self._filler_bytes)
        self._later(seconds, filler.unlink)
        return f"for {seconds:.1f} s"

    def _worker_cannot_write(self, slot: str, seconds: float) -> str | None:
        return self._forbid_writing(self._system.find_pool_child(slot), seconds)

    def _trainer_cannot_write(self, slot: str, seconds: float) -> str | None:
        return self._forbid_writing(self._system.find_trainer(slot), seconds)

    def _clock_stepped(self, slot: str, _: float) -> str | None:
        """Move the times in the rows the other way, which looks the same to a process that compares them with now."""
        if self._has_lock:
            return None
        is_forward = slot == self._system.slots[0]
        step = -FORWARD_STEP if is_forward else BACKWARD_STEP
        with self._database.write() as session:
            for job in session.scalars(select(Job).where(Job.status == JobStatus.RUNNING).with_for_update()):
                if job.lease_expires_at is not None:
                    job.lease_expires_at += step
            for row in session.scalars(select(Slot)):
                row.seen_at += step
        return "an hour forward" if is_forward else "some seconds back"

    # Faults of messages

    def _doorbells_doubled(self, _slot: str, _: float) -> str | None:
        queue = get_slot_queue(self._system.settings.slot_device)
        try:
            with self._celery.connection_for_write() as connection:
                for _ring in range(DOUBLED_RINGS):
                    self._celery.send_task(RUN_TASK, queue=queue, connection=connection)
        except Exception:  # noqa: BLE001  the broker may be away because of another fault
            return None
        return f"{DOUBLED_RINGS} rings"

    def _doorbells_lost(self, _slot: str, _: float) -> str | None:
        Doorbell(self._celery).silence(self._system.settings.slot_device)
        return "the queue is purged"

    def _find_main(self, name: str) -> psutil.Process | None:
        pid = self._system.components[name].pid
        return psutil.Process(pid) if pid is not None else None

    def _pause(self, processes: list[psutil.Process | None], seconds: float) -> str | None:
        found = [process for process in processes if process is not None]
        if not found:
            return None

        def go_on() -> None:
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

        for process in found:
            process.suspend()
        self._later(seconds, go_on)
        return f"pids {[process.pid for process in found]} for {seconds:.1f} s"

    def _restart_postgres(self, number: signal.Signals, seconds: float) -> str | None:
        postgres = self._system.postgres
        assert postgres is not None
        if not postgres.is_running:
            return None
        postgres.stop(number)
        self._later(seconds, postgres.start)
        return f"away for {seconds:.1f} s"

    def _forbid_writing(self, process: psutil.Process | None, seconds: float) -> str | None:
        if process is None:
            return None
        pid = process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)

        def allow() -> None:
            if process.is_running():
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
        self._later(seconds, allow)
        return f"pid {pid} for {seconds:.1f} s"

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        """Schedule the action that ends a lasting fault."""

        def end() -> None:
            self._lasting_count -= 1
            action()

        self._lasting_count += 1
        self._timeline.after(seconds, end)

    def _time_drain(self, hit: Hit, slot: str) -> None:
        process = self._system.components[slot].process
        assert process is not None

        def look() -> None:
            if process.is_running:
                self._timeline.after(0.1, look)
            else:
                self.drains.append((hit, time.time() - hit.at))

        look()


HITS_ALL = frozenset(
    {
        "housekeeping_killed",
        "api_killed",
        "rebooted",
        "redis_wiped",
        "database_restarted",
        "database_crashed",
        "database_locked",
        "database_locked_long",
        "disk_filled",
        "clock_stepped",
        "doorbells_doubled",
        "doorbells_lost",
    }
)


def _kill(process: psutil.Process | None) -> str | None:
    if process is None:
        return None
    process.kill()
    return f"pid {process.pid}"
