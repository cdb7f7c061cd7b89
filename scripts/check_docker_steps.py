"""Runs the pip steps of Dockerfile without an engine, in a temporary folder, and then the installed service.

python -m scripts.check_docker_steps [--python python3.12]

What it takes from Dockerfile: the RUN lines of the stage that builds, in their order, with the image's paths moved into
the folder; and from .dockerignore what the build gets to see. The machine's Node.js is hidden, as the image has none.
"""

import argparse
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEP_SECONDS = 400
START_SECONDS = 30.0
# Folders that the build stage writes to, beside its working folder.
FOLDERS = ("/opt/emotune", "/wheels")
FORBIDDEN = ("torch", "transformers", "pytest", "pip")


@dataclass(frozen=True)
class Instruction:
    """An instruction of a Dockerfile, its lines joined, with its stage (0 is the first)."""

    stage: int
    name: str
    value: str


def parse_dockerfile(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    instructions, stage = [], -1
    for line in joined.splitlines():
        name, _, value = line.strip().partition(" ")
        stage += name == "FROM"
        instructions.append(Instruction(stage, name, value.strip()))
    return instructions


def list_steps(instructions: list[Instruction]) -> list[str]:
    """Return the RUN lines of the first stage as a shell runs them."""
    runs = [each.value for each in instructions if each.stage == 0 and each.name == "RUN"]
    return [re.sub(r"^(--\S+\s+)+", "", run) for run in runs]


def is_ignored(path: str, patterns: list[str]) -> bool:
    """Apply the rules of .dockerignore: a pattern also matches what is in a folder, and the last match decides."""
    parts = path.split("/")
    prefixes = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    ignored = False
    for pattern in patterns:
        form = re.escape(pattern.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(form, prefix) for prefix in prefixes):
            ignored = not pattern.startswith("!")
    return ignored


def read_patterns() -> list[str]:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def copy_context(target: Path) -> None:
    """Copy what `COPY . .` would copy, of the files that git tracks or would add."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    patterns = read_patterns()
    for path in listed:
        if not is_ignored(path, patterns) and (ROOT / path).is_file():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, target / path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--python", default=shutil.which("python3.12") or sys.executable, help="the Python to build with"
    )
    python = parser.parse_args().python
    instructions = parse_dockerfile((ROOT / "Dockerfile").read_text())
    with tempfile.TemporaryDirectory(prefix="emotune-docker-") as name:
        folder = Path(name)
        environment = make_environment(folder, python)
        context = folder / "src"
        copy_context(context)
        for step in list_steps(instructions):
            moved = re.sub("|".join(map(re.escape, FOLDERS)), lambda match: f"{folder}{match[0]}", step)
            print(f"RUN {step}", flush=True)
            started = time.monotonic()
            # The lines are shell, as Docker runs them.
            subprocess.run(["sh", "-euc", moved], cwd=context, env=environment, check=True, timeout=STEP_SECONDS)
            print(f"    {time.monotonic() - started:.0f} s", flush=True)
        check_installed(folder, environment)
    print("All steps of Dockerfile work, and what they install runs.")


def make_environment(folder: Path, python: str) -> dict[str, str]:
    """Return an environment without an emotune, with `python` as in the image, and with a Node.js that is too old."""
    tools = folder / "tools"
    tools.mkdir()
    version = subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    print(f"{version}: {python}", flush=True)
    executables = {"python": f'exec "{python}" "$@"', "node": "echo v0.0.0", "npm": "exit 1"}
    for name, line in executables.items():
        (tools / name).write_text(f"#!/bin/sh\n{line}\n")
        (tools / name).chmod(0o755)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("EMOTUNE_", "PYTHON"))}
    own["PATH"] = f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"
    return own | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1", "PIP_ROOT_USER_ACTION": "ignore"}


def check_installed(folder: Path, environment: Mapping[str, str]) -> None:
    """Run migrations, API and its health check in the image's environment, and check that nothing else is in it."""
    binaries = folder / "opt" / "emotune" / "bin"
    code = f"import importlib.util as u, pathlib, api; print([n for n in {FORBIDDEN!r} if u.find_spec(n)], "
    code += "(pathlib.Path(api.__file__).parent / 'static' / 'index.html').is_file())"
    said = _run([binaries / "python", "-c", code], folder, environment)
    if said.strip() != "[] True":
        sys.exit(f"the image would hold what it should not, or lack the dashboard: {said}")
    size_bytes = sum(path.stat().st_size for path in (folder / "opt").rglob("*") if path.is_file())
    print(f"installed: {size_bytes / 1e6:.0f} MB", flush=True)
    own = dict(environment) | {"EMOTUNE_DATA_DIR": str(folder / "data"), "EMOTUNE_PORT": str(_find_free_port())}
    print(_run([binaries / "emotune", "migrate"], folder, own), end="")
    health = _get_health_check()
    print(f"HEALTHCHECK {shlex.join(health)}", flush=True)
    with subprocess.Popen([binaries / "emotune", "api"], cwd=folder, env=own, stdout=subprocess.DEVNULL) as api:
        try:
            _wait_healthy([binaries / health[0], *health[1:]], folder, own)
        finally:
            api.terminate()


def _get_health_check() -> list[str]:
    (value,) = [i.value for i in parse_dockerfile((ROOT / "Dockerfile").read_text()) if i.name == "HEALTHCHECK"]
    return re.findall(r'"([^"]*)"', value.partition("CMD")[2])


def _wait_healthy(argv: list[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            print(f"    {done.stdout.strip()}", flush=True)
            return
        if time.monotonic() > deadline:
            sys.exit(f"the API doesn't become healthy: {done.stderr}")
        time.sleep(0.5)


def _run(argv: list[str | Path], folder: Path, environment: Mapping[str, str]) -> str:
    return subprocess.run(argv, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
