"""Runs a staged installation in its own process, for tests and scripts that drive a browser."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from cli.processes import start_process, wait_until
from tests.browser.staging import REPOSITORY, Staged, find_staged, make_settings
from tests.support.ports import find_free_port

STAGING_SECONDS = 180


@dataclass(frozen=True)
class StagedServer:
    """The address of a running staged installation, and what was staged in it."""

    url: str
    staged: Staged

    def make_login_link(self, key: str) -> str:
        answer = httpx2.post(f"{self.url}/login-codes", headers={"Authorization": f"Bearer {key}"})
        return self.url + str(answer.json()["path"])


@contextmanager
def serve_staged(data_dir: Path) -> Iterator[StagedServer]:
    """Serve a staged installation until the end of the block; an empty folder is staged first."""
    url = f"http://127.0.0.1:{(port := find_free_port())}"
    process = start_process(
        "staging",
        [sys.executable, "-m", "tests.browser.staging", "--data-dir", str(data_dir), "--port", str(port)],
        log_path=data_dir / "staging.log",
        environment=_make_environment(),
        stop_seconds=15,
    )
    try:
        wait_until(lambda: not process.is_running or _answers(url), seconds=STAGING_SECONDS)
        assert process.is_running, process.read_log_tail()
        staged = find_staged(make_settings(data_dir))
        assert staged is not None, f"nothing was staged within {STAGING_SECONDS} s: {process.read_log_tail()}"
        yield StagedServer(url, staged)
    finally:
        process.stop()


def _make_environment() -> dict[str, str]:
    """The environment without the variables of emotune, since the staging makes its own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EMOTUNE_")}
    folders = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(folders)}


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/live").is_success
    except httpx2.TransportError:
        return False
