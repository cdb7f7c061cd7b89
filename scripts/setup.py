"""Makes .venv, installs emotune with all its extras, and builds the dashboard; skips what is already done.

Run by the machine's Python, so it needs nothing but the standard library.
"""

import hashlib
import subprocess
import sys
import time
import venv
from pathlib import Path

from build_dashboard import find_node

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed.sha256"
INPUTS = ("pyproject.toml", "constraints.txt")
EXTRAS = "train,sample-model,otel,dev"
OLDEST_PYTHON = (3, 11)


def main() -> None:
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"emotune needs Python 3.11 or newer, and this is {sys.version.split()[0]}; try make PYTHON=python3.12"
        )
    install()
    built = subprocess.run([VENV / "bin" / "python", ROOT / "scripts" / "build_dashboard.py"], check=False)
    if built.returncode != 0:
        sys.exit("the dashboard can't be built; the reason is above")


def install() -> None:
    inputs = b"".join((ROOT / name).read_bytes() for name in INPUTS)
    digest = hashlib.sha256(inputs + sys.version.encode()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == digest:
        return
    started = time.monotonic()
    print("Installing into .venv (a few minutes the first time) ...", flush=True)
    venv.create(VENV, with_pip=True, clear=True)
    extras = EXTRAS if find_node() else f"{EXTRAS},dashboard"
    command = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    installed = subprocess.run(
        [*command, "--constraint", ROOT / "constraints.txt", "--editable", f"{ROOT}[{extras}]"], check=False
    )
    if installed.returncode != 0:
        sys.exit("the installation failed; pip's message is above")
    STAMP.write_text(digest)
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


main()
