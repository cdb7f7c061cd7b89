"""`emotune api`: what it does when processes can't start."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.config import STARTUP_FAILURE

from api.telemetry.request_meter import COUNTS_VARIABLE
from cli import api
from jobs.database.engine import Database
from jobs.settings import Settings
from tests.support.ports import find_free_port


@pytest.fixture
def several(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv(COUNTS_VARIABLE, "")
    return settings.model_copy(update={"api_processes": 2, "port": find_free_port()})


@pytest.mark.parametrize(("exit_codes", "is_failure"), [((0, -15), False), ((STARTUP_FAILURE, -15), True)])
def test_it_fails_where_a_process_could_not_begin(
    several: Settings, monkeypatch: pytest.MonkeyPatch, exit_codes: tuple[int, ...], is_failure: bool
) -> None:
    folders: list[Path] = []

    class Ended:
        """A supervisor whose processes have ended."""

        def __init__(self, config: Any, sockets: list[Any]) -> None:
            assert config.workers == several.api_processes
            self.sockets = sockets
            self.processes = [SimpleNamespace(exitcode=code) for code in exit_codes]

        def run(self) -> None:
            folders.append(Path(os.environ[COUNTS_VARIABLE]))
            assert folders[0].is_dir()
            self.sockets[0].close()

    monkeypatch.setattr(api, "Multiprocess", Ended)
    if is_failure:
        with pytest.raises(SystemExit, match=str(STARTUP_FAILURE)):
            api.run_api(several)
    else:
        api.run_api(several)
    assert not folders[0].exists()
