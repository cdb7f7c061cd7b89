"""A spare training process on a GPU: it holds no memory there until its request, and then trains as any other."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from emomodel.protocol.progress import Metric, Phase, Ready, Result, parse_line, write_request_line
from tests.model.tiny_training import make_request, start_spare
from worker.slot.gpu import Gpu

# The time limit is for the test itself: before it the test waits until others are done with the GPU.
pytestmark = [pytest.mark.gpu, pytest.mark.alone, pytest.mark.timeout(300, func_only=True)]

MIB = 1024**2
# How much memory other programs may take or return during the test; a CUDA context alone has several hundred MiB.
NOISE_BYTES = 50 * MIB


@pytest.fixture
def spare(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with start_spare(tmp_path) as process:
        yield process
        process.kill()


def test_a_spare_uses_no_memory_of_the_gpu_until_its_request(
    spare: "subprocess.Popen[str]", tmp_path: Path, tiny_gemma: Path
) -> None:
    gpu = Gpu("0")
    before = gpu.read().memory_used_bytes or 0
    began = time.monotonic()
    assert spare.stdout is not None
    line = spare.stdout.readline()
    assert line, spare.stderr.read() if spare.stderr is not None else ""
    assert parse_line(line) == Ready()
    ready_seconds = time.monotonic() - began
    memory = psutil.Process(spare.pid).memory_full_info()
    used = (gpu.read().memory_used_bytes or 0) - before
    children = [child.name() for child in psutil.Process(spare.pid).children(recursive=True)]
    print(f"ready after {ready_seconds:.1f} s; resident {memory.rss / MIB:.0f} MiB, own {memory.uss / MIB:.0f} MiB")
    print(f"GPU memory: {used / MIB:+.0f} MiB; children: {children}")
    assert spare.pid not in {process.pid for process in gpu.list_processes()}
    assert abs(used) < NOISE_BYTES
    assert children == []

    request = make_request(tmp_path / "run", tiny_gemma, max_steps=3)
    path = tmp_path / "run" / "request.json"
    path.write_text(request.model_dump_json())
    assert spare.stdin is not None
    posted = time.monotonic()
    spare.stdin.write(write_request_line(path) + "\n")
    spare.stdin.flush()
    lines = []
    for text in spare.stdout:
        lines.append(parse_line(text))
        if isinstance(lines[-1], Phase) or (isinstance(lines[-1], Metric) and lines[-1].step == 1):
            print(f"{time.monotonic() - posted:.1f} s: {getattr(lines[-1], 'name', 'first metric')}")
    assert isinstance(lines[-1], Result), spare.stderr.read() if spare.stderr is not None else lines
