"""What a slot's device reports, and what happens without a driver."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from worker.slot.gpu import Cpu, DeviceReading, Gpu, GpuUnreadable

ROOT = Path(__file__).resolve().parents[4]

# The GPU machine has these alone: worker/slot/gpu.py is used there without the service's packages.
IMPORT = """
import sys
import worker.slot.gpu
heavy = {"torch", "sqlalchemy", "celery", "structlog", "pydantic"} & set(sys.modules)
assert not heavy, heavy
"""

# The library is looked for where the loader looks: a folder without it goes before.
WITHOUT_DRIVER = """
import ctypes, sys
from worker.slot.gpu import Gpu, GpuUnreadable
try:
    ctypes.CDLL("libnvidia-ml.so.1")
except OSError:
    pass
else:
    sys.exit("a driver is here")
gpu = Gpu(sys.argv[1])
for question in (gpu.read, gpu.list_processes, gpu.read):
    try:
        question()
    except GpuUnreadable as error:
        print(error)
"""


def test_a_cpu_tells_the_memory_of_its_machine_and_no_more() -> None:
    assert Cpu().read() == DeviceReading(memory_bytes=psutil.virtual_memory().total)
    assert Cpu().list_processes() == []


@pytest.mark.parametrize("name", ["0", "GPU-3ab1f7c2-0000-0000-0000-000000000000"])
def test_without_a_driver_a_gpu_says_that_it_cannot_be_read(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DRIVER, name], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.stderr == "a driver is here\n":
        # Then tests/gpu/test_gpu_reader.py asks it.
        with pytest.raises(GpuUnreadable):
            Gpu("99").read()
    else:
        assert done.stdout == f"GPU {name} can't be read: NVML Shared Library Not Found.\n" * 3, done.stderr


def test_reading_a_gpu_needs_no_other_package_of_the_service() -> None:
    subprocess.run([sys.executable, "-c", IMPORT], cwd=ROOT, check=True)
