"""The packages of the extra `train` that an installation lacks are found without importing them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from emomodel.train_extra import TRAINING_PACKAGES, describe_missing, find_missing

ROOT = Path(__file__).parents[3]


def test_the_packages_are_those_of_the_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["train"] == list(TRAINING_PACKAGES)


def test_what_is_missing_is_named_with_what_installs_it() -> None:
    assert describe_missing(["json", "re"]) is None
    assert describe_missing(["json", "no_such_a"]) == "no_such_a is not installed: pip install 'emotune[train]'"
    assert describe_missing(["no_such_a", "no_such_b", "no_such_c"]) == (
        "no_such_a, no_such_b and no_such_c are not installed: pip install 'emotune[train]'"
    )


def test_what_is_installed_later_is_found_and_an_empty_folder_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_missing(["came_later"]) == ["came_later"]
    (tmp_path / "came_later").mkdir()
    assert find_missing(["came_later"]) == ["came_later"]
    (tmp_path / "came_later" / "__init__.py").touch()
    assert find_missing(["came_later"]) == []


def test_nothing_of_it_is_imported() -> None:
    code = "import sys; from emomodel import train_extra as extra; extra.find_missing(); "
    code += "print({*extra.TRAINING_PACKAGES} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
