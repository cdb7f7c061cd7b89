"""Python processes that we start, and their child processes, import nothing from their working folder."""

import os
import subprocess
from pathlib import Path

import pytest

from jobs.python_processes import SAFE_PATH, make_python_argv

ROOT = Path(__file__).parents[3]
PACKAGES = ("api", "cli", "emomodel", "jobs", "migrations", "worker")
GRANDCHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import json'], check=True)"


@pytest.mark.parametrize("code", ["import json", GRANDCHILD])
def test_a_file_of_the_working_folder_replaces_no_module(code: str, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    argv = make_python_argv("-c", code)
    done = subprocess.run(argv, cwd=tmp_path, env=os.environ | SAFE_PATH, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_other_module_starts_python_itself() -> None:
    starting = {
        path.relative_to(ROOT).name
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "sys.executable" in path.read_text()
    }
    assert starting == {"python_processes.py"}
