"""Starts `python -m emomodel` and the sample model's converter as child processes: the CLI loads no torch."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cli.errors import CliError
from emomodel.train_extra import describe_missing
from jobs.python_processes import SAFE_PATH, make_python_argv

# Names that the owner of a bundle doesn't have. None in sys.modules makes an import of them fail.
OTHER_PACKAGES = ("api", "cli", "jobs", "worker")
ONLY_EMOMODEL = (
    f"import runpy, sys; sys.modules.update(dict.fromkeys({OTHER_PACKAGES!r})); "
    "runpy.run_module('emomodel', run_name='__main__', alter_sys=True)"
)


class ChildFailed(CliError):
    """The child process ended with an error."""


class PackagesMissing(CliError):
    """This installation can't train."""


def refuse_without_packages() -> None:
    """Refuse a command that would fail later: raises PackagesMissing if the extra `train` is not installed."""
    missing = describe_missing()
    if missing is not None:
        raise PackagesMissing(missing)


def run_emomodel(*arguments: str) -> int:
    """Run `python -m emomodel` on this terminal; returns its exit code.

    The working folder stays: the arguments, the bundle's base model and the messages may name paths relative to it.
    """
    argv = make_python_argv("-m", "emomodel", *arguments)
    return subprocess.run(argv, check=False, env=os.environ | SAFE_PATH).returncode  # noqa: S603


def read_from_emomodel(arguments: Sequence[str], *, log_path: Path) -> str:
    """Run `emomodel` in a process that can't import the service's packages; returns its output. Raises ChildFailed."""
    return _read(make_python_argv("-c", ONLY_EMOMODEL, *arguments), log_path)


def prepare_sample_model(folder: Path, *, log_path: Path) -> None:
    """Make the folder of Gemma 3 270M unless it exists. Raises ChildFailed."""
    _read(make_python_argv("-m", "emomodel.conversion.sample_model", str(folder)), log_path)


def _read(argv: list[str], log_path: Path) -> str:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("a") as log:
        done = subprocess.run(  # noqa: S603  an argv list of ours, no shell
            argv,
            check=False,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ | SAFE_PATH,
            cwd=log_path.parent,
        )
    if done.returncode != 0:
        tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-15:])
        raise ChildFailed(f"{' '.join(argv[2:4])} failed with exit code {done.returncode}; from {log_path}:\n{tail}")
    return done.stdout
