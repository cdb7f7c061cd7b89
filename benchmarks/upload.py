"""How much memory an upload of 200 MB adds to the API, and how fast it is.

    .venv/bin/python benchmarks/upload.py

The file is uploaded as a raw body and as a form, to a uvicorn in another process. The memory is the maximum that was
measured during the upload, less that before it.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx2
import psutil
from poll import make_running_job, serve

from cli.migrate import migrate
from jobs.settings import MIB, Settings

UPLOAD_BYTES = 200_000_000
ALLOWED_BYTES = 50 * MIB
SAMPLE_SECONDS = 0.01
LINE = (
    '{"messages": [{"role": "user", "content": "How was the concert last night?"}, {"role": "assistant", '
    '"content": "<emo joy=0.9>I am overjoyed, number %d was wonderful!</emo> <emo sadness=0.4>A pity.</emo>"}]}\n'
)


def make_file(path: Path) -> None:
    with path.open("w") as stream:
        number = 0
        while stream.tell() < UPLOAD_BYTES:
            stream.writelines(LINE % (number + offset) for offset in range(1000))
            number += 1000


def read_pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(MIB):
            yield piece


class PeakMemory:
    """Measures the maximum memory of a process between two moments, by frequent samples."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.start_bytes = self.peak_bytes = process.memory_info().rss

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "data")
        migrate(settings)
        _, secret, _ = make_running_job(settings)
        path = Path(folder) / "chats.jsonl"
        make_file(path)
        headers = {"Authorization": f"Bearer {secret}"}
        worst_bytes = 0
        with serve("make_service", settings.data_dir) as url, httpx2.Client(timeout=600, headers=headers) as client:
            (server,) = psutil.Process().children()
            client.post(f"{url}/datasets?name=warm", content=LINE % 1).raise_for_status()
            for way in ("raw", "form"):
                with path.open("rb") as stream, PeakMemory(server) as memory:
                    started_at = time.monotonic()
                    if way == "raw":
                        response = client.post(f"{url}/datasets?name=raw", content=read_pieces(path))
                    else:
                        response = client.post(f"{url}/datasets", files={"file": ("chats.jsonl", stream)})
                    seconds = time.monotonic() - started_at
                response.raise_for_status()
                added_bytes = memory.peak_bytes - memory.start_bytes
                worst_bytes = max(worst_bytes, added_bytes)
                speed = path.stat().st_size / seconds / MIB
                print(f"{way:4}: {seconds:5.1f} s, {speed:4.0f} MiB/s, memory +{added_bytes / MIB:.1f} MiB")
    print(f"at most +{worst_bytes / MIB:.1f} MiB, allowed +{ALLOWED_BYTES / MIB:.0f} MiB")
    sys.exit(worst_bytes > ALLOWED_BYTES)


if __name__ == "__main__":
    main()
