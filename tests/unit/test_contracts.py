"""The contracts of pyproject.toml catch violations: a planted violation breaks the contract that forbids it."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api", "cli", "emomodel", "jobs", "migrations", "worker")
# The rooms of emomodel that may load torch. Every other one has to be among the light rooms of the contract.
HEAVY_ROOMS = {"__main__", "spare", "process", "training", "conversion", "evaluation", "generation", "model", "batches"}
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
        "api, cli, jobs, migrations and worker load no torch, not even through others",
    ),
    "torch in a light room": (
        "emomodel/files.py",
        "import safetensors",
        "the light rooms of emomodel load no torch, not even through others",
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


def test_each_room_of_emomodel_is_light_or_heavy() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {
        each["name"].partition(" load")[0].partition(":")[0]: each
        for each in config["tool"]["importlinter"]["contracts"]
    }
    rooms = {
        room
        for layer in contracts["emomodel"]["layers"]
        for room in layer.replace("|", ":").replace(" ", "").split(":")
    }
    light = {room.removeprefix("emomodel.") for room in contracts["the light rooms of emomodel"]["source_modules"]}
    assert rooms - HEAVY_ROOMS == light


def test_each_package_has_a_contract_that_lists_all_its_rooms() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert text.count("exhaustive = true") == len(PACKAGES) - len(("cli", "migrations"))
