"""Incoming datasets: however many arrive, only a few are validated at a time."""

import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from api.intake.stream import TAKING_THREADS, Intake, Reading, open_intake, take_in
from emomodel.emotions import DEFAULT_AXES
from jobs.files.content import IncomingFile
from jobs.files.storage import Storage
from jobs.settings import Settings

UPLOADS = 6
LINE = b'{"messages": [{"role": "user", "content": "Hm"}, {"role": "assistant", "content": "<emo joy=1>So!</emo>"}]}\n'
WRITE_SECONDS = 0.02


class Stream:
    """A request whose file comes in three parts."""

    name = None

    async def read(self) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield LINE


class WatchedFile(IncomingFile):
    """A file that counts how many files of its class are being written at the same time."""

    lock = threading.Lock()
    now = most = 0

    def write(self, chunk: bytes) -> None:
        with self.lock:
            WatchedFile.now += 1
            WatchedFile.most = max(WatchedFile.most, WatchedFile.now)
        time.sleep(WRITE_SECONDS)
        super().write(chunk)
        with self.lock:
            WatchedFile.now -= 1


def test_uploads_take_turns_and_leave_the_other_threads_to_the_polls(tmp_path: Path) -> None:
    storage, settings = Storage(tmp_path), Settings(data_dir=tmp_path)
    counts: list[int] = []

    async def upload() -> None:
        with open_intake(storage) as intake:
            watched = WatchedFile(intake.arriving.path, intake.arriving.stream)
            report, _ = await take_in(Stream(), Intake(watched, intake.converted), Reading(DEFAULT_AXES), settings)
            counts.append(report.example_count)

    async def upload_all() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(UPLOADS):
                tasks.start_soon(upload)

    anyio.run(upload_all)
    assert counts == [3] * UPLOADS
    assert WatchedFile.most == TAKING_THREADS
