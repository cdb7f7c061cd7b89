"""The environment variables of a training process."""

from collections.abc import Mapping

from jobs.settings import GIB, PREFIX, Device

# Each library that brings its own thread pool listens to one of these.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# On a CPU each step takes its tensors from the system and gives them back, page by page. Keeping the memory in the
# process makes the steps faster (benchmarks/trainer_memory.py), for more resident memory.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(4 * GIB), "MALLOC_TRIM_THRESHOLD_": str(16 * GIB)}


def make_trainer_environment(own: Mapping[str, str], *, threads: int | None, device: Device) -> dict[str, str]:
    """The worker's own variables without our settings, which hold passwords that a training process has no use for."""
    environment = {name: value for name, value in own.items() if not name.startswith(PREFIX)}
    environment["PYTHONUNBUFFERED"] = "1"
    if device == "cpu":
        environment |= KEEP_MEMORY
    if threads is not None:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return environment
