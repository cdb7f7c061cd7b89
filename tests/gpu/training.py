"""Runs `python -m emomodel` in a new process, since Unsloth must be imported before transformers."""

import os
import subprocess
import sys

from tests.model.tiny_training import REPOSITORY

# With Unsloth, imports and the compilation in the first step take more than a minute.
TIMEOUT_SECONDS = 400


def run_emomodel(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "emomodel", *argv],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "8"},
        timeout=TIMEOUT_SECONDS,
    )
