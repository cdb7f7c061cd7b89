"""The environment variables of a training process."""

from collections.abc import Mapping
from pathlib import Path

from jobs.settings import GIB, MIB, PREFIX, Device

# Of variables that may hold a password, which a training has no use for: our settings; those by which any program finds
# its object store; and OpenTelemetry's, as a training process sends no spans.
HIDDEN_PREFIXES = (PREFIX, "AWS_", "OTEL_")

# Each library that brings its own thread pool listens to one of these.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# On a CPU. Batches of ever new lengths leave gaps in the heap that no later block fits into, and a training of minutes
# would take three times what it needs. So large blocks come from the system one by one and go back to it, in large
# pages where it has them: steps are slower for it, by how much says benchmarks/trainer_memory.py.
BOUND_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(64 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(16 * GIB),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}

# Where PyTorch, Triton and Unsloth keep what they compile for a GPU. Their own places don't outlive a reboot, or belong
# to the working folder; with a warm cache the first step takes 3 s in place of 19 (docs/performance.md).
CACHE_VARIABLES = {
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TRITON_CACHE_DIR": "triton",
    "UNSLOTH_COMPILE_LOCATION": "unsloth",
}


# Whose a process is, for who finds it by `ps` or `nvidia-smi` and reads its environment. Nothing here reads them.
JOB_VARIABLE = "EMOMODEL_JOB_ID"
ATTEMPT_VARIABLE = "EMOMODEL_ATTEMPT"


def name_run(job_id: str, attempt: int) -> dict[str, str]:
    """The variables that say which run a process is for."""
    return {JOB_VARIABLE: job_id, ATTEMPT_VARIABLE: str(attempt)}


def make_trainer_environment(
    own: Mapping[str, str], *, threads: int | None, device: Device, gpu_uuid: str | None, cache_folder: Path
) -> dict[str, str]:
    """The worker's own variables, without those that may hold a password.

    It sees its slot's GPU alone, by UUID, as CUDA may count GPUs otherwise than we do. What is compiled for a GPU goes
    to `cache_folder`, unless the operator has named other places.
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
