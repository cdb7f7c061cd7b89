"""The contracts of pyproject.toml catch violations: a planted violation breaks the contract that forbids it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "emomodel", "jobs", "migrations", "worker")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

PLANTED = {
    "an import upwards": (
        "emomodel/data/examples.py",
        "import emomodel.training.train",
        "emomodel: from a file's bytes to a model that writes",
    ),
    "torch through another package": (
        "worker/slot/gpu.py",
        "import emomodel.model.wrapper",
        "api, cli, jobs and worker load no torch, not even through others",
    ),
    "a module that belongs to no room": ("jobs/helpers.py", "", "jobs: from a request to a result"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the packages and the contracts, without built files."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_breaks_its_contract(copy: Path, name: str) -> None:
    place, statement, contract = PLANTED[name]
    with (copy / place).open("a", encoding="utf-8") as module:
        module.write(f"\n{statement}\n")
    done = subprocess.run([LINT_IMPORTS, "--no-cache"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    # The report wraps long names.
    assert f"{contract} BROKEN" in " ".join(done.stdout.split()), done.stdout


def test_each_package_has_a_contract_that_lists_all_its_rooms() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert text.count("exhaustive = true") == len(PACKAGES) - len(("cli", "migrations"))
