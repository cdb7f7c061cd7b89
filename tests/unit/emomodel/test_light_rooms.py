import subprocess
import sys
from pathlib import Path

import pytest

import emomodel

PACKAGE = Path(emomodel.__file__).parent
HEAVY = {"torch", "transformers", "peft", "accelerate", "safetensors", "matplotlib", "numpy"}
LIGHT = [
    "__init__",
    "config",
    "emotions",
    "errors",
    "files",
    "train_extra",
    "data",
    "samples",
    "insights",
    "protocol",
    "sizing",
    "bundles",
    "checkpoints",
]


def list_light_modules() -> list[str]:
    files = [path for name in LIGHT for path in [PACKAGE / f"{name}.py", *(PACKAGE / name).rglob("*.py")]]
    modules = [
        ".".join(["emomodel", *path.relative_to(PACKAGE).with_suffix("").parts]) for path in files if path.is_file()
    ]
    return [module.removesuffix(".__init__") for module in modules]


def run_python(code: str) -> set[str]:
    """Run code in a fresh process, and return the words that it prints."""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_light_rooms_load_nothing_heavy() -> None:
    """One fresh process imports all light modules; none of the heavy libraries may be loaded afterwards."""
    modules = list_light_modules()
    assert {"emomodel", "emomodel.config", "emomodel.data.formats.records", "emomodel.bundles.bundle"} <= set(modules)
    loaded = run_python("import sys\n" + "".join(f"import {name}\n" for name in modules) + "print(*sys.modules)")
    assert HEAVY.isdisjoint(loaded)


@pytest.mark.parametrize("name", ["emomodel", "emomodel.config"])
def test_the_package_itself_loads_nothing_heavy(name: str) -> None:
    loaded = run_python(f"import sys, {name}\nfrom emomodel import Turn, parse_schedule\nprint(*sys.modules)")
    assert HEAVY.isdisjoint(loaded)


def test_the_package_lists_what_the_owner_of_a_bundle_imports() -> None:
    assert (
        {"Sampling", "Turn", "generate", "load_bundle", "stream_reply"} <= set(emomodel.__all__) <= set(dir(emomodel))
    )
    assert emomodel.Turn("user", "Hi", ()).content == "Hi"
    with pytest.raises(AttributeError, match="module 'emomodel' has no attribute 'load_bundles'"):
        emomodel.load_bundles  # type: ignore[attr-defined]  # noqa: B018 - that it isn't there is the point


@pytest.mark.parametrize("command", [[], ["train"], ["dance"]])
def test_the_command_line_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from emomodel.__main__ import main

    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert "usage: python -m emomodel" in capsys.readouterr().err
