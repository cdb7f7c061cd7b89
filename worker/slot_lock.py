"""SlotLock: one run at a time on a slot of this machine, whatever the rows say.

The database already lets a slot run one job. The lock covers what the database can't see: two workers started for one
slot by mistake, and a training process that outlived its supervisor.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil
import structlog

from worker import process_group

log = structlog.get_logger()


@dataclass(frozen=True)
class SlotLock:
    """Held by this process; its file names the training process that the slot started last."""

    stream: BinaryIO

    def note_trainer(self, pid: int) -> None:
        """The slot has started this process, the leader of its own session."""
        self._write({"pid": pid, "created": psutil.Process(pid).create_time()})

    def forget_trainer(self) -> None:
        self._write({})

    def end_left_over(self) -> None:
        """Kill what is left of the slot's last training process: its supervisor has died, since we hold the lock."""
        self.stream.seek(0)
        noted = json.loads(self.stream.read() or b"{}")
        if noted and process_group.is_same_group(noted["pid"], noted["created"]):
            killed_count = process_group.kill_members(noted["pid"])
            if killed_count:
                log.warning("left_over_trainer_killed", pid=noted["pid"], process_count=killed_count)
        self.forget_trainer()

    def _write(self, content: dict[str, float]) -> None:
        self.stream.seek(0)
        self.stream.truncate()
        self.stream.write(json.dumps(content).encode())
        self.stream.flush()


@contextmanager
def hold_slot(data_dir: Path, slot: str) -> Iterator[SlotLock | None]:
    """The slot's lock, or None while another process of this machine holds it."""
    folder = data_dir / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield SlotLock(stream)
