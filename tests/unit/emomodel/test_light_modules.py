import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[3] / "emomodel"
HEAVY = {"torch", "transformers", "peft", "accelerate", "safetensors", "matplotlib", "numpy"}
LIGHT = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if "[light]" in path.read_text(encoding="utf-8").partition('"""\n\n')[0]
)


def test_modules_that_the_job_domain_uses_are_light() -> None:
    assert {
        "config",
        "emotions",
        "data.examples",
        "protocol.progress",
        "protocol.train_request",
        "bundles.bundle",
    } <= set(LIGHT)


def test_light_modules_load_nothing_heavy() -> None:
    """One fresh process imports them all; none of the heavy libraries may be there afterwards."""
    code = "import sys\n" + "".join(f"import emomodel.{name}\n" for name in LIGHT) + "print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert run.returncode == 0, run.stderr
    assert HEAVY.isdisjoint(run.stdout.split())


@pytest.mark.parametrize("command", [[], ["train"], ["dance"]])
def test_the_command_line_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    from emomodel.__main__ import main

    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert "usage: python -m emomodel" in capsys.readouterr().err
