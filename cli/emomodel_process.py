"""Starts `python -m emomodel` and the sample model's converter as child processes: the CLI loads no torch."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.errors import CliError

# Names that the owner of a bundle doesn't have. None in sys.modules makes an import of them fail.
OTHER_PACKAGES = ("api", "cli", "jobs", "worker")
ONLY_EMOMODEL = (
    f"import runpy, sys; sys.modules.update(dict.fromkeys({OTHER_PACKAGES!r})); "
    "runpy.run_module('emomodel', run_name='__main__', alter_sys=True)"
)


class ChildFailed(CliError):
    """The child process ended with an error."""


def run_emomodel(*arguments: str) -> int:
    """Run `python -m emomodel` on this terminal; returns its exit code."""
    return subprocess.run([sys.executable, "-m", "emomodel", *arguments], check=False).returncode  # noqa: S603


def read_from_emomodel(arguments: Sequence[str], *, log_path: Path) -> str:
    """Run `emomodel` in a process that can't import the service's packages; returns its output. Raises ChildFailed."""
    return _read([sys.executable, "-c", ONLY_EMOMODEL, *arguments], log_path)


def prepare_sample_model(folder: Path, *, log_path: Path) -> None:
    """Make the folder of Gemma 3 270M unless it exists. Raises ChildFailed."""
    _read([sys.executable, "-m", "emomodel.conversion.sample_model", str(folder)], log_path)


def _read(argv: list[str], log_path: Path) -> str:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a") as log:
        done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=log, text=True)  # noqa: S603
    if done.returncode != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
        raise ChildFailed(f"{' '.join(argv[1:3])} failed with exit code {done.returncode}; from {log_path}:\n{tail}")
    return done.stdout
