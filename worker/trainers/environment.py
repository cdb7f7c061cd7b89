"""The environment variables of a training process."""

import os
from collections.abc import Mapping
from pathlib import Path

from jobs.python_processes import SAFE_PATH
from jobs.settings import GIB, MIB, PREFIX, Device
from worker.resources import Resources

# Prefixes of variables that may hold a password and that a training does not need: our settings; those by which any
# program finds its object store; and OpenTelemetry's, as a training process sends no spans.
HIDDEN_PREFIXES = (PREFIX, "AWS_", "OTEL_")

# Each library with its own thread pool reads one of these.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# For a CPU. Batches of varying lengths leave gaps in the heap that later blocks don't fit into: a training of minutes
# would take three times the memory it needs. So large blocks are taken from the system one by one and returned to it,
# in huge pages where it has them. That makes steps slower: benchmarks/trainer_memory.py measures it.
BOUND_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(64 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(16 * GIB),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

# Where PyTorch, Triton and Unsloth keep what they compile for a GPU. Their default places don't survive a reboot, or
# are in the working folder; with a warm cache the first step takes 3 s in place of 19 (docs/performance.md).
CACHE_VARIABLES = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "UNSLOTH_COMPILE_LOCATION": "unsloth",
}


def make_slot_environment(resources: Resources) -> dict[str, str]:
    """Make the variables of each training process of this slot now; they name no run. Raises GpuUnreadable."""
    settings = resources.settings
    environment = make_trainer_environment(
        os.environ,
        threads=settings.trainer_threads,
        device=settings.slot_device,
        gpu_uuid=resources.device.read().gpu_uuid,
        cache_folder=resources.storage.get_cache_folder(settings.slot),
    )
    return environment | SAFE_PATH


def make_trainer_environment(
    own: Mapping[str, str], *, threads: int | None, device: Device, gpu_uuid: str | None, cache_folder: Path
) -> dict[str, str]:
    """Make a training process's variables: the worker's own, without those that may hold a password.

    The process sees only its slot's GPU, by UUID, as CUDA may number GPUs otherwise than we do. What is compiled for a
    GPU is kept in `cache_folder`, unless the operator has set other folders.
    """
    environment = {name: value for name, value in own.items() if not name.startswith(HIDDEN_PREFIXES)}
    environment["PYTHONUNBUFFERED"] = "1"
    if device == "cpu":
        environment |= BOUND_MEMORY
    else:
        environment = {name: str(cache_folder / part) for name, part in CACHE_VARIABLES.items()} | environment
    if gpu_uuid is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu_uuid
    if threads is not None:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return environment
