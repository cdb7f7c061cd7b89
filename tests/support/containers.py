"""docker-compose.yml with an operator's .env filled in, and the tools that check such files."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
ENV_EXAMPLE = ROOT / ".env.example"
GPU_0, GPU_1 = "GPU-3ab1f7c2-0000-0000-0000-000000000000", "GPU-9c04d155-0000-0000-0000-000000000000"

# The variables that an operator fills in; the rest is as in the example.
FILLED = {
    "INSTALL_UID": "1500",
    "INSTALL_GID": "1500",
    "INSTALL_DATA_DIR": "/srv/emotune/data",
    "INSTALL_MODELS_DIR": "/srv/emotune/models",
    "EMOTUNE_HOST_NAME": "box",
    "EMOTUNE_BASE_MODELS": '{"gemma-3-1b": "/models/gemma-3-1b-it"}',
    "INSTALL_GPU_0": GPU_0,
    "INSTALL_GPU_1": GPU_1,
    "INSTALL_SERVER_NAME": "tune.example",
    "COMPOSE_PROFILES": "proxy,two-slots,monitoring",
}

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?:(?P<mark>:-|:\?)(?P<text>[^}]*))?\}")


class VariableMissing(Exception):
    """A required variable is not set."""


def read_env(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def list_variables(text: str) -> dict[str, str | None]:
    """List the name and the mark of each variable of a compose file; the mark `:?` means that it is required."""
    return {match["name"]: match["mark"] for match in _VARIABLE.finditer(text)}


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill variables in as Compose does. Raises VariableMissing."""

    def replace(match: re.Match[str]) -> str:
        value = variables.get(match["name"], "")
        if value or match["mark"] is None:
            return value
        if match["mark"] == ":?":
            raise VariableMissing(f"{match['name']}: {match['text']}")
        return str(match["text"])

    return _VARIABLE.sub(replace, text)


def load_compose(variables: Mapping[str, str] = FILLED, *, file: Path = COMPOSE_FILE) -> dict[str, Any]:
    """Load a compose file with the variables filled in. Raises VariableMissing."""
    loaded: dict[str, Any] = _fill(yaml.safe_load(file.read_text()), variables)
    return loaded


def _fill(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill variables into the parsed values, so that a variable never changes the structure of the file."""
    if isinstance(value, dict):
        return {key: _fill(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_fill(each, variables) for each in value]
    return interpolate(value, variables) if isinstance(value, str) else value


def find_tool(name: str) -> str:
    """A program beside this Python or on the PATH. Where it is missing the test is skipped, and in CI a skip fails
    (tests/conftest.py).
    """
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return str(beside)
    found = shutil.which(name)
    if found is not None:
        return found
    pytest.skip(f"{name} is not installed")


def find_compose() -> list[str] | None:
    """Docker Compose 2 or newer, as a plugin or alone; it needs no engine to read files."""
    for argv in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(argv[0]) is None:
            continue
        done = subprocess.run([*argv, "version", "--short"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.lstrip("v")[:1] not in {"", "0", "1"}:
            return argv
    return None
