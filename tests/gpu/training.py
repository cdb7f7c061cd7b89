"""`python -m emomodel` as a process of its own: Unsloth must be imported before transformers."""

import os
import subprocess
import sys

from tests.model.tiny_training import REPOSITORY

# A first step with Unsloth imports and compiles for a minute and more.
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
