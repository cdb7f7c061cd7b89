"""`emotune health`: the check with which containers ask whether their process works."""

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cli.database import DatabaseUnusable
from cli.health import SWEEPS_MISSED, Process, Unhealthy, check_health
from cli.migrate import migrate
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.runs.slots import note_slot
from jobs.settings import Settings


class Answer(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/live" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, host_name="box", slot="slot-0")


def test_an_api_that_listens_everywhere_is_asked_here(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    settings = Settings(host="0.0.0.0", port=server.server_port)  # noqa: S104 - nobody listens there
    assert "answers" in check_health(settings, Process.API)


def test_an_api_that_fails_or_is_away_is_unwell(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answer, "status", 500)
    with pytest.raises(Unhealthy, match="500"):
        check_health(Settings(port=server.server_port), Process.API)
    with pytest.raises(Unhealthy):
        check_health(Settings(port=9), Process.API)


def test_a_worker_is_well_while_its_slot_has_a_heartbeat_on_this_host(settings: Settings) -> None:
    migrate(settings)
    with pytest.raises(Unhealthy, match="slot-0 on box was not seen"):
        check_health(settings, Process.WORKER)
    database = Database(settings.sqlalchemy_url)
    with database.write() as session:
        note_slot(session, name="slot-0", device="cpu", host="box", blocked_reason="a process computes there")
    database.close()
    assert "slot-0" in check_health(settings, Process.WORKER)
    with pytest.raises(Unhealthy):
        check_health(settings.model_copy(update={"host_name": "other"}), Process.WORKER)
    with pytest.raises(Unhealthy):
        check_health(settings.model_copy(update={"worker_seen_seconds": 0.0}), Process.WORKER)


def test_a_worker_without_a_database_is_unwell(settings: Settings) -> None:
    with pytest.raises(DatabaseUnusable):
        check_health(settings, Process.WORKER)


def test_a_housekeeping_is_well_while_it_sweeps(settings: Settings) -> None:
    with pytest.raises(Unhealthy, match="no sweep of box"):
        check_health(settings, Process.HOUSEKEEPING)
    Storage(settings.data_dir).note_sweep("box")
    assert "last sweep" in check_health(settings, Process.HOUSEKEEPING)
    long_ago = time.time() - SWEEPS_MISSED * settings.sweep_seconds - 1
    os.utime(settings.data_dir / "swept" / "box", (long_ago, long_ago))
    with pytest.raises(Unhealthy):
        check_health(settings, Process.HOUSEKEEPING)
