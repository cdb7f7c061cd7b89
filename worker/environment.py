"""The environment variables of a training process."""

from collections.abc import Mapping

from jobs.settings import PREFIX

# Each library that brings its own thread pool listens to one of these.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def make_trainer_environment(own: Mapping[str, str], *, threads: int | None) -> dict[str, str]:
    """The worker's own variables without our settings, which hold passwords that a training process has no use for."""
    environment = {name: value for name, value in own.items() if not name.startswith(PREFIX)}
    environment["PYTHONUNBUFFERED"] = "1"
    if threads is not None:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    return environment
