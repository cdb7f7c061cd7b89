"""Describes the processes that use a GPU's memory, for the operator."""

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from jobs.settings import GIB, MIB
from worker.slot.gpu import GpuProcess

# Further processes are only counted.
MAX_NAMED = 3


def describe_holders(processes: Sequence[GpuProcess]) -> str:
    """Describe processes as in `process 4711 (python, of alice, 12.3 GiB) and 2 more`, the largest first."""
    ordered = sorted(processes, key=lambda process: process.memory_bytes or 0, reverse=True)
    words = ", ".join(_describe(process) for process in ordered[:MAX_NAMED])
    more = len(ordered) - MAX_NAMED
    return f"{words} and {more} more" if more > 0 else words


def describe_size(size_bytes: int) -> str:
    return f"{size_bytes / GIB:.1f} GiB" if size_bytes >= GIB else f"{size_bytes / MIB:.0f} MiB"


def _describe(process: GpuProcess) -> str:
    facts = _find_name_and_user(process.pid)
    if process.memory_bytes is not None:
        facts.append(describe_size(process.memory_bytes))
    return f"process {process.pid} ({', '.join(facts)})"


def _find_name_and_user(pid: int) -> list[str]:
    """Find a process's name and user. In a container NVML may report the host's pids, which differ."""
    try:
        process = psutil.Process(pid)
        if has_gpu_open(pid):
            return [process.name(), f"of {process.username()}"]
    except psutil.Error:
        pass
    return ["not visible from here"]


def has_gpu_open(pid: int, *, proc: Path = Path("/proc")) -> bool:
    """Whether the process has an NVIDIA device open; true where permission to look is missing."""
    try:
        targets = [os.readlink(path) for path in (proc / str(pid) / "fd").iterdir()]  # noqa: PTH115  devices are no paths
    except PermissionError:
        return True
    except OSError:
        return False
    return any(target.startswith("/dev/nvidia") or target == "/dev/dxg" for target in targets)
