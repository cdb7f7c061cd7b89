"""What blocks a slot, and that it becomes free again by itself."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.typing import EventDict

from emomodel.train_extra import describe_missing
from jobs.files.storage import Storage
from tests.support.gpus import GIB, IDLE_GPU, DeviceDouble
from tests.support.waiting import wait_for
from worker.resources import Resources
from worker.slot.gpu import GpuProcess
from worker.slot.lock import SlotLock, get_lock_path, hold_slot
from worker.slot.readiness import SlotCheck

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
# No process has such a number.
FOREIGN_PID = 2**22 + 1


@pytest.fixture
def device() -> DeviceDouble:
    return DeviceDouble(IDLE_GPU)


@pytest.fixture
def lock(resources: Resources) -> Iterator[SlotLock]:
    settings = resources.settings
    with hold_slot(settings.data_dir, settings.slot, host=settings.host_name, boot_id=resources.boot_id) as lock:
        assert lock is not None
        yield lock


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def make_check(
    resources: Resources,
    *,
    min_free_bytes: int = 0,
    return_seconds: float = 0.3,
    boot_id: str | None = None,
    missing: Sequence[str] = (),
) -> SlotCheck:
    settings = resources.settings
    return SlotCheck(
        slot=settings.slot,
        device=resources.device,
        storage=resources.storage,
        min_free_bytes=min_free_bytes,
        max_used_bytes=settings.slot_max_used_bytes,
        lock_path=get_lock_path(settings.data_dir, settings.slot, host=settings.host_name),
        boot_id=boot_id or resources.boot_id,
        return_seconds=return_seconds,
        # The list may change, as installed packages do.
        describe_missing=lambda: describe_missing(missing),
    )


def test_a_gpu_that_nobody_uses_is_free(resources: Resources, device: DeviceDouble) -> None:
    check = make_check(resources)
    assert check.find_obstacle() is None
    device.reading = replace(IDLE_GPU, memory_used_bytes=GIB)
    assert check.find_obstacle() is None, "the memory that a driver uses itself is below the bound"


def test_somebody_elses_process_blocks_and_is_named(resources: Resources, device: DeviceDouble) -> None:
    device.processes = [GpuProcess(FOREIGN_PID, 12 * GIB + GIB // 3, computes=True)]
    check = make_check(resources)
    assert check.find_obstacle() == (f"The GPU is in use by process {FOREIGN_PID} (not visible from here, 12.3 GiB).")


def test_an_unrelated_process_with_the_same_number_is_not_named(resources: Resources, device: DeviceDouble) -> None:
    own_pid = os.getpid()
    device.processes = [GpuProcess(own_pid, None, computes=True)]
    reason = make_check(resources).find_obstacle()
    assert reason == f"The GPU is in use by process {own_pid} (not visible from here)."


def test_of_many_processes_the_largest_are_named(resources: Resources, device: DeviceDouble) -> None:
    device.processes = [GpuProcess(FOREIGN_PID + size, size * GIB, computes=True) for size in range(1, 6)]
    reason = make_check(resources).find_obstacle() or ""
    assert [f"{size}.0 GiB" in reason for size in range(1, 6)] == [False, False, True, True, True]
    assert reason.endswith(" and 2 more.")


def test_a_desktop_blocks_only_with_more_memory_than_the_bound(resources: Resources, device: DeviceDouble) -> None:
    device.processes = [GpuProcess(FOREIGN_PID, 200 * 1024**2, computes=False)]
    check = make_check(resources)
    assert check.find_obstacle() is None
    device.reading = replace(IDLE_GPU, memory_used_bytes=2 * GIB)
    assert check.find_obstacle() == (
        "2.0 GiB of the GPU's memory are in use, more than the 1.5 GiB of EMOTUNE_SLOT_MAX_USED_BYTES, by "
        f"process {FOREIGN_PID} (not visible from here, 200 MiB)."
    )


def test_used_memory_blocks_where_no_process_can_be_seen(resources: Resources, device: DeviceDouble) -> None:
    device.reading = replace(IDLE_GPU, memory_used_bytes=40 * GIB)
    reason = make_check(resources).find_obstacle() or ""
    assert reason.startswith("40.0 GiB of the GPU's memory are in use")
    assert reason.endswith("by processes that can't be seen from here.")


def test_a_gpu_that_cannot_be_read_blocks_with_the_drivers_words(resources: Resources, device: DeviceDouble) -> None:
    device.failure = "GPU 0 can't be read: GPU is lost."
    assert make_check(resources).find_obstacle() == "GPU 0 can't be read: GPU is lost."


def test_a_disk_that_is_nearly_full_blocks_a_cpu_slot_too(resources: Resources, device: DeviceDouble) -> None:
    device.reading = DeviceDouble().reading
    reason = make_check(resources, min_free_bytes=2**60).find_obstacle() or ""
    assert "of disk are free" in reason
    assert "EMOTUNE_MIN_FREE_DISK_BYTES" in reason


def test_missing_packages_block_until_they_are_installed(resources: Resources, logs: list[EventDict]) -> None:
    missing = ["no_such_package"]
    check = make_check(resources, missing=missing)
    reason = "This worker can't train, as no_such_package is not installed: pip install 'emotune[train]'."
    assert (check.find_obstacle(), check.recheck()) == (reason, reason)
    missing.clear()
    assert check.recheck() is None
    assert [entry["event"] for entry in logs] == ["slot_blocked", "slot_unblocked"]


def test_a_data_folder_that_cannot_be_used_blocks(resources: Resources, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = make_check(replace(resources, storage=Storage(tmp_path / "file" / "data")))
    assert (check.recheck() or "").startswith("The data folder can't be used: ")


def test_a_change_is_logged_once_each_way(resources: Resources, device: DeviceDouble, logs: list[EventDict]) -> None:
    check = make_check(resources)
    for failure in (None, "lost", "lost", None, None):
        device.failure = failure
        check.find_obstacle()
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("slot_blocked", "warning"),
        ("slot_unblocked", "info"),
    ]


def test_what_is_found_elsewhere_blocks_until_it_is_taken_back(resources: Resources) -> None:
    check = make_check(resources)
    check.refuse("Another host has it.")
    assert check.find_obstacle() == "Another host has it."
    check.refuse(None)
    assert check.recheck() is None


def test_a_runs_own_use_is_no_obstacle_while_it_is_on(resources: Resources, device: DeviceDouble) -> None:
    check = make_check(resources)
    with check.occupy():
        device.processes = [GpuProcess(FOREIGN_PID, GIB, computes=True)]
        assert check.recheck() is None
    assert check.recheck() is not None


def test_a_trainer_of_the_slots_other_worker_is_no_obstacle(
    resources: Resources, device: DeviceDouble, lock: SlotLock
) -> None:
    trainer = subprocess.Popen(SLEEPER, start_new_session=True)
    device.processes = [GpuProcess(trainer.pid, GIB, computes=True)]
    lock.note_trainer(trainer.pid)
    check = make_check(resources)
    assert check.recheck() is None
    trainer.kill()
    trainer.wait()
    assert check.recheck() is not None


def test_the_memory_of_a_run_is_waited_for(resources: Resources, device: DeviceDouble, lock: SlotLock) -> None:
    device.processes = [GpuProcess(FOREIGN_PID, GIB, computes=True)]
    check = make_check(resources, return_seconds=20)
    threading.Timer(0.3, device.processes.clear).start()
    assert check.wait_until_free(lock) is None
    assert check.blocked_reason is None


def test_what_is_left_of_a_run_is_ended_when_its_memory_does_not_come_back(
    resources: Resources, device: DeviceDouble, lock: SlotLock
) -> None:
    trainer = subprocess.Popen(SLEEPER, start_new_session=True)
    lock.note_trainer(trainer.pid)
    lock.forget_trainer()
    device.processes = [GpuProcess(trainer.pid, GIB, computes=True)]

    def give_back() -> None:
        trainer.wait()
        device.processes.clear()

    reaper = threading.Thread(target=give_back)
    reaper.start()
    assert make_check(resources).wait_until_free(lock) is None
    reaper.join()
    assert trainer.returncode == -9


def test_memory_that_does_not_come_back_blocks_until_it_does(
    resources: Resources, device: DeviceDouble, lock: SlotLock
) -> None:
    check = make_check(resources)
    device.reading = replace(IDLE_GPU, memory_used_bytes=30 * GIB)
    reason = check.wait_until_free(lock)
    assert reason == check.blocked_reason
    assert "30.0 GiB" in (reason or "")
    device.reading = IDLE_GPU
    wait_for(lambda: check.recheck() is None)
