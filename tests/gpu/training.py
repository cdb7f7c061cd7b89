"""Runs `python -m emomodel` in a new process, since Unsloth must be imported before transformers."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.model.tiny_training import REPOSITORY

# With Unsloth, imports and the compilation in the first step take more than a minute, and longer beside other tests.
TIMEOUT_SECONDS = 400
# A test starts up to three of them, and may wait for a test that has the GPU alone.
TEST_SECONDS = 600
# With more threads a training gets no faster.
MAX_THREADS = 8
# Those of worker.trainers.environment, which needs packages that only a slot has.
CACHE_VARIABLES = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
CACHES = Path(tempfile.gettempdir()) / "emotune-gpu-tests"


def make_environment() -> dict[str, str]:
    """The variables of a process that shares the machine with the other workers of pytest-xdist.

    The processes share what PyTorch and Triton compile, whose files appear complete. Unsloth writes modules in place
    and imports them, so each worker has its own.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    worker_count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    threads = max(min((os.cpu_count() or 1) // worker_count, MAX_THREADS), 1)
    caches = {name: str(CACHES / folder) for name, folder in CACHE_VARIABLES.items()}
    caches["UNSLOTH_COMPILE_LOCATION"] = str(CACHES / f"unsloth-{worker}")
    compilers = {"TORCHINDUCTOR_COMPILE_THREADS": str(threads)}
    return os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | caches | compilers


def run_emomodel(*argv: str, first_on_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `emomodel` with these arguments; packages in the folder `first_on_path` hide installed ones."""
    path = os.pathsep.join([*([str(first_on_path)] if first_on_path else []), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "emomodel", *argv],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        env=make_environment() | {"PYTHONPATH": path},
        timeout=TIMEOUT_SECONDS,
    )
