"""How much memory a slot has."""

from pathlib import Path

import psutil
import pytest

from jobs.models import Slot
from jobs.settings import MIB
from tests.support.waiting import wait_for
from worker.beacon import Beacon
from worker.memory import find_memory_bytes, read_gpu_memory
from worker.resources import Resources

TWO_GPUS = "GPU-11aa, 24564\nGPU-22bb, 143771\n"


def make_program(folder: Path, body: str) -> str:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o700)
    return str(program)


def test_a_cpu_slot_has_the_memory_of_its_machine() -> None:
    assert find_memory_bytes("cpu", {}) == psutil.virtual_memory().total


def test_the_driver_program_is_asked_for_a_gpu(tmp_path: Path) -> None:
    program = make_program(tmp_path, 'echo "$@" > "$0.asked"; echo "GPU-11aa, 24564"')
    assert find_memory_bytes("cuda", {}, program=program) == 24_564 * MIB
    asked = Path(program + ".asked").read_text()
    assert asked == "--query-gpu=uuid,memory.total --format=csv,noheader,nounits\n"


@pytest.mark.parametrize("body", ["exit 9", "echo 'No devices were found'", "echo 'GPU-11aa, [N/A]'", "true"])
def test_what_the_driver_program_cannot_tell_is_unknown(tmp_path: Path, body: str) -> None:
    assert find_memory_bytes("cuda", {}, program=make_program(tmp_path, body)) is None


def test_without_the_driver_program_a_gpu_is_of_unknown_size(tmp_path: Path) -> None:
    assert find_memory_bytes("cuda", {}, program=str(tmp_path / "nvidia-smi")) is None


@pytest.mark.parametrize(
    ("visible", "mebibytes"),
    [("GPU-11aa", 24_564), ("GPU-22", 143_771), ("GPU-11aa,GPU-22bb", 24_564), ("0", 143_771), ("", 143_771)],
)
def test_the_gpu_is_the_one_named_by_its_uuid_or_else_the_largest(visible: str, mebibytes: int) -> None:
    assert read_gpu_memory(TWO_GPUS, visible=visible) == mebibytes * MIB


def test_a_slot_says_how_much_memory_it_has(resources: Resources) -> None:
    beacon = Beacon(resources)

    def find_memory() -> int | None:
        with resources.database.read() as session:
            slot = session.get(Slot, resources.settings.slot)
            return None if slot is None else slot.memory_bytes

    beacon.start()
    try:
        wait_for(lambda: find_memory() is not None)
    finally:
        beacon.stop()
    assert find_memory() == psutil.virtual_memory().total
