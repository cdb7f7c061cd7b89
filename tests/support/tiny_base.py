"""The tests' base model, made by another process, since most tests that use it need no torch."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("tiny_gemma.py")


def make_tiny_base(folder: Path) -> Path:
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], check=True)
    return folder
