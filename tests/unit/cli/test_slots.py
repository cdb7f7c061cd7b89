"""How `emotune slots` shows a slot."""

from typing import Any

from api.schemas.examples import SLOT
from cli.slots import describe_slot

GPU: dict[str, Any] = dict(SLOT)
CPU = GPU | {
    "name": "box-cpu",
    "device": "cpu",
    "status": "idle",
    "job": None,
    "memory_bytes": 16 * 1024**3,
    "memory_used_bytes": None,
    "gpu_name": None,
    "utilization_percent": None,
    "temperature_celsius": None,
    "power_watts": None,
}


def test_a_busy_gpu_is_one_line_with_its_job() -> None:
    assert describe_slot(GPU) == (
        "box-cuda-0: running, NVIDIA H200 on box, 20.0 of 140.4 GiB, 96 %, 61 °C, 412 W, "
        f"job {GPU['job']['id']} (warm replies)"
    )


def test_a_cpu_has_no_numbers_of_a_gpu() -> None:
    assert describe_slot(CPU) == "box-cpu: idle, cpu on box, 16.0 GiB"


def test_a_blocked_slot_says_why_on_a_line_of_its_own() -> None:
    blocked = CPU | {"status": "blocked", "blocked_reason": "Only 3 MiB of disk are free."}
    assert describe_slot(blocked).splitlines() == [
        "box-cpu: blocked, cpu on box, 16.0 GiB",
        "  Only 3 MiB of disk are free.",
    ]


def test_a_slot_that_is_drained_while_it_runs_says_both() -> None:
    assert "running, to be drained" in describe_slot(GPU | {"drained_at": "2026-11-22T15:05:12Z"})
    assert "to be" not in describe_slot(CPU | {"status": "drained", "drained_at": "2026-11-22T15:05:12Z"})


def test_a_worker_of_another_release_than_the_api_is_shown() -> None:
    other = CPU | {"is_other_release": True, "emotune_version": "0.0.9"}
    assert describe_slot(other).endswith("16.0 GiB, release 0.0.9, not the API's")
    assert "release unknown" in describe_slot(other | {"emotune_version": None})
    from_older_api = {name: value for name, value in CPU.items() if name not in {"is_other_release", "emotune_version"}}
    assert describe_slot(from_older_api) == describe_slot(CPU)
