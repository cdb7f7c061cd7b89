"""SlotLock: ensures one run at a time on a slot of this machine, independent of the database, and one spare process.

The database already lets a slot run one job. The lock covers what the database can't see: two workers started for one
slot by mistake, and a training process that outlived its supervisor.

The data folder may be shared by several hosts, on a network file system, so each host has a folder of locks for
itself: no other host takes them, and a note of a process is valid only on its own host.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import psutil
import structlog

from worker.slot import process_group

log = structlog.get_logger()


@dataclass(frozen=True)
class TrainerNote:
    """A training process, distinguished by its start and boot from later processes with the same pid."""

    pid: int
    created: float
    boot_id: str

    def may_live(self, boot_id: str) -> bool:
        """Whether processes that have its session's number now can only be the rest of that session."""
        return self.boot_id == boot_id and process_group.is_same_group(self.pid, self.created)

    def end(self, boot_id: str) -> int:
        """Kill the rest of its session; return how many processes were killed."""
        killed_count = process_group.kill_members(self.pid) if self.may_live(boot_id) else 0
        if killed_count:
            log.warning("left_over_trainer_killed", pid=self.pid, process_count=killed_count)
        return killed_count


class SlotLock:
    """Held by this process; its file names the training process that the slot started last."""

    def __init__(self, stream: BinaryIO, boot_id: str) -> None:
        self._stream = stream
        self._boot_id = boot_id
        self._last: TrainerNote | None = None

    def note_trainer(self, pid: int) -> None:
        """Note the process that the slot has started, the leader of its own session."""
        self._last = TrainerNote(pid, psutil.Process(pid).create_time(), self._boot_id)
        self._write(json.dumps(asdict(self._last)))

    def forget_trainer(self) -> None:
        self._write("")

    def end_left_over(self) -> None:
        """Kill the rest of the slot's last training process: its supervisor has died, since we hold the lock."""
        self._stream.seek(0)
        noted = _parse(self._stream.read())
        if noted is not None:
            noted.end(self._boot_id)
        self.forget_trainer()

    def end_last_trainer(self) -> int:
        """Kill the rest of the training process that was noted last, forgotten or not; return how many processes."""
        return 0 if self._last is None else self._last.end(self._boot_id)

    def _write(self, content: str) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._stream.write(content.encode())
        self._stream.flush()


@contextmanager
def hold_slot(data_dir: Path, slot: str, *, host: str, boot_id: str) -> Iterator[SlotLock | None]:
    """Hold the slot's lock; yield None while another process of this machine holds it."""
    with hold_lock(get_lock_path(data_dir, slot, host=host), boot_id) as lock:
        yield lock


@contextmanager
def hold_lock(path: Path, boot_id: str) -> Iterator[SlotLock | None]:
    """Hold the lock of a file; yield None while another process of this machine holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield SlotLock(stream, boot_id)


def has_living_trainer(path: Path, *, boot_id: str) -> bool:
    """Whether the training process that a slot's lock names still runs. Any process of the machine may ask."""
    try:
        noted = _parse(path.read_bytes())
    except OSError:
        return False
    return noted is not None and noted.boot_id == boot_id and process_group.is_alive(noted.pid, noted.created)


def get_lock_path(data_dir: Path, slot: str, *, host: str) -> Path:
    return data_dir / "slots" / host / f"{slot}.lock"


def get_spare_lock_path(data_dir: Path, slot: str, *, host: str) -> Path:
    """The lock of a slot's spare process, which its worker holds also between two runs."""
    return data_dir / "slots" / host / f"{slot}.spare.lock"


def _parse(content: bytes) -> TrainerNote | None:
    """Parse a note; return None for an empty one, and for one that was read while it was written."""
    try:
        return TrainerNote(**json.loads(content))
    except (ValueError, TypeError):
        return None
