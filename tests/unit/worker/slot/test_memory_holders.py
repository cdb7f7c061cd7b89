"""Processes that hold memory, described for the operator."""

import os
from pathlib import Path

import pytest

from worker.slot.memory_holders import describe_size, has_gpu_open


@pytest.mark.parametrize("target", ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/dxg"])
def test_a_process_with_a_gpu_is_known_by_its_open_devices(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "17" / "fd"
    folder.mkdir(parents=True)
    (folder / "0").symlink_to("/dev/null")
    assert not has_gpu_open(17, proc=tmp_path)
    (folder / "1").symlink_to(target)
    assert has_gpu_open(17, proc=tmp_path)


def test_a_process_that_is_not_there_has_nothing_open(tmp_path: Path) -> None:
    assert not has_gpu_open(17, proc=tmp_path)
    assert not has_gpu_open(os.getpid())


def test_sizes_are_given_in_the_unit_that_fits() -> None:
    assert [describe_size(size) for size in (0, 300 * 1024**2, 3 * 1024**3 // 2)] == ["0 MiB", "300 MiB", "1.5 GiB"]
