"""The GPU itself: what NVML reports about it, and about a process that uses it.

In a container NVML may report no processes, or report them by the host's pids; the used memory then has to show them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pynvml
import pytest
import torch

from worker.slot.gpu import DeviceReading, Gpu, GpuUnreadable

# The time limit is for the test itself: before it a test may wait for others to be done with the GPU.
pytestmark = [pytest.mark.gpu, pytest.mark.timeout(120, func_only=True)]

GIB = 1024**3
HELD_BYTES = 3 * GIB
RETURN_SECONDS = 10.0

# Holds memory until its input ends. The driver uses some more for the process.
HOLDER = f"""
import sys, torch
held = torch.ones({HELD_BYTES}, dtype=torch.uint8, device="cuda")
torch.cuda.synchronize()
print(torch.cuda.device_count(), torch.cuda.get_device_properties(0).uuid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def gpu() -> Gpu:
    return Gpu("0")


@pytest.fixture
def idle(gpu: Gpu) -> DeviceReading:
    return gpu.read()


def start_holder(gpu_uuid: str | None) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": gpu_uuid or ""},
    )


@pytest.fixture
def holder(idle: DeviceReading) -> Iterator["subprocess.Popen[str]"]:
    process = start_holder(idle.gpu_uuid)
    yield process
    process.kill()
    process.communicate()


def get_used(gpu: Gpu) -> int:
    used = gpu.read().memory_used_bytes
    assert used is not None
    return used


def test_a_gpu_reports_what_it_is_and_its_state(idle: DeviceReading) -> None:
    print(idle)
    assert idle.gpu_name
    assert idle.gpu_uuid is not None
    assert idle.gpu_uuid.startswith("GPU-")
    assert idle.memory_bytes is not None
    assert idle.memory_used_bytes is not None
    assert idle.memory_bytes > GIB
    assert 0 <= idle.memory_used_bytes <= idle.memory_bytes
    assert idle.utilization_percent is None or 0 <= idle.utilization_percent <= 100
    assert idle.temperature_celsius is None or 5 < idle.temperature_celsius < 120
    assert idle.power_watts is None or 1 < idle.power_watts < 2000


def test_a_gpu_is_the_same_by_its_index_and_by_its_uuid(idle: DeviceReading) -> None:
    assert idle.gpu_uuid is not None
    by_uuid = Gpu(idle.gpu_uuid).read()
    assert (by_uuid.gpu_uuid, by_uuid.gpu_name, by_uuid.memory_bytes) == (
        idle.gpu_uuid,
        idle.gpu_name,
        idle.memory_bytes,
    )


def test_nvml_and_cuda_mean_the_same_memory(idle: DeviceReading) -> None:
    total_bytes = torch.cuda.get_device_properties(0).total_memory
    assert idle.memory_bytes is not None
    # The driver reserves a part that CUDA doesn't count.
    assert 0.9 * idle.memory_bytes < total_bytes <= idle.memory_bytes


@pytest.mark.parametrize("name", ["99", "GPU-00000000-0000-0000-0000-000000000000"])
def test_a_gpu_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(GpuUnreadable, match=f"GPU {name} can't be read: "):
        Gpu(name).read()


def test_a_gpu_is_read_again_after_nvml_was_closed_elsewhere(gpu: Gpu, idle: DeviceReading) -> None:
    pynvml.nvmlShutdown()
    for _ in range(2):
        try:
            assert gpu.read().gpu_uuid == idle.gpu_uuid
        except GpuUnreadable as error:
            print(error)
        else:
            return
    pytest.fail("it was not opened again")


@pytest.mark.alone
def test_a_process_sees_its_gpu_alone_and_shows_in_its_memory(
    gpu: Gpu, idle: DeviceReading, holder: "subprocess.Popen[str]"
) -> None:
    assert holder.stdout is not None
    device_count, uuid = holder.stdout.readline().split()
    assert device_count == "1"
    assert idle.gpu_uuid == f"GPU-{uuid}"
    assert idle.memory_used_bytes is not None
    assert get_used(gpu) >= idle.memory_used_bytes + HELD_BYTES
    found = gpu.list_processes()
    print("processes by NVML:", found, "own:", holder.pid)
    own = [process for process in found if process.pid == holder.pid]
    for process in own:
        assert process.computes
        assert process.memory_bytes is None or process.memory_bytes >= HELD_BYTES


@pytest.mark.alone
def test_the_memory_of_a_process_that_was_killed_comes_back(
    gpu: Gpu, idle: DeviceReading, holder: "subprocess.Popen[str]"
) -> None:
    assert holder.stdout is not None
    holder.stdout.readline()
    assert idle.memory_used_bytes is not None
    process_count = len(gpu.list_processes())
    holder.kill()
    holder.wait()
    began = time.monotonic()
    while get_used(gpu) > idle.memory_used_bytes + GIB // 2 or (
        process_count and len(gpu.list_processes()) >= process_count
    ):
        assert time.monotonic() - began < RETURN_SECONDS
        time.sleep(0.02)
    print(f"the memory was back after {time.monotonic() - began:.2f} s")
