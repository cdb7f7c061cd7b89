"""`emotune api` as several processes: the same answer from each, and none that is out of date."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.migrate import migrate
from cli.processes import Process, start_process, wait_until
from cli.stack import make_environment
from jobs.database.engine import Database
from jobs.settings import Settings
from tests.support.ports import find_free_port
from tests.support.queues import add_waiting
from tests.unit.conftest import make_team

PROCESSES = 2
# More than enough for each of the processes to get some.
REQUESTS = 30
REQUEST_SECONDS = 30.0
START_SECONDS = 90.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(
        data_dir=tmp_path / "data",
        port=find_free_port(),
        api_processes=PROCESSES,
        min_free_disk_bytes=0,
        metrics_public=True,
    )
    migrate(found)
    return found


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """What the processes take for the system's folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def api(settings: Settings, temporary: Path) -> Iterator[Process]:
    process = start_api(settings, temporary)
    yield process
    process.stop()


def start_api(settings: Settings, temporary: Path) -> Process:
    process = launch_api(settings, temporary)
    wait_for_starts(process, PROCESSES)
    return process


def launch_api(settings: Settings, temporary: Path) -> Process:
    return start_process(
        "api",
        [sys.executable, "-m", "cli", "api"],
        log_path=settings.data_dir / "logs" / "api.log",
        environment=os.environ | make_environment(settings) | {"TMPDIR": str(temporary)},
        stop_seconds=20,
    )


def wait_for_starts(api: Process, count: int) -> None:
    """Wait until this many of its processes have begun to answer, counted from the beginning of its log."""

    def have_begun() -> bool:
        return api.log_path.read_text().count("Application startup complete") >= count

    assert wait_until(have_begun, seconds=START_SECONDS), api.read_log_tail()


def list_children(api: Process) -> list[psutil.Process]:
    """Those that answer, without multiprocessing's own helper."""
    children = psutil.Process(api.popen.pid).children()
    return [child for child in children if "multiprocessing.spawn" in " ".join(child.cmdline())]


def ask(settings: Settings, method: str, path: str, *, key: str = "", body: object = None) -> httpx2.Response:
    """By a connection of its own, which any of the processes may get."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"http://127.0.0.1:{settings.port}{path}"
    return httpx2.request(method, url, headers=headers, json=body, timeout=REQUEST_SECONDS)


def scrape(settings: Settings) -> dict[str, float]:
    """Counts of `GET /health/live`, and what the processes take."""
    families = text_string_to_metric_families(ask(settings, "GET", "/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {
        sample.name: sample.value
        for sample in samples
        if sample.labels.get("route") == "/health/live" or sample.name.startswith("process_")
    }


def make_job(settings: Settings) -> tuple[str, str]:
    """The key of a team, and the id of a job of it that waits."""
    database = Database(settings.sqlalchemy_url)
    team = make_team(database, "reds")
    with database.write() as session:
        job = add_waiting(session, team.id)
    database.close()
    return team.secret, job.id


def test_all_tell_the_same(settings: Settings, api: Process) -> None:
    for _ in range(REQUESTS):
        assert ask(settings, "GET", "/health/live").status_code == 200
    for _ in range(PROCESSES):
        scraped = scrape(settings)
        assert (
            scraped["emotune_http_requests_total"] == scraped["emotune_http_request_duration_seconds_count"] == REQUESTS
        )
        whole = [psutil.Process(api.popen.pid), *psutil.Process(api.popen.pid).children()]
        assert scraped["process_resident_memory_bytes"] == pytest.approx(
            sum(each.memory_info().rss for each in whole), rel=0.1
        )
        assert scraped["process_start_time_seconds"] == pytest.approx(whole[0].create_time(), abs=1)

    # What one of them has changed, each of them knows at once, also of answers that they keep for a moment.
    key, job_id = make_job(settings)
    for name in ("second", "third"):
        assert ask(settings, "PATCH", f"/jobs/{job_id}", key=key, body={"name": name}).status_code == 200
        seen = [ask(settings, "GET", "/jobs:overview", key=key).json()["items"][0]["name"] for _ in range(REQUESTS)]
        assert set(seen) == {name}

    # One that dies is replaced, and what it has counted is not lost.
    list_children(api)[0].kill()
    wait_for_starts(api, PROCESSES + 1)
    assert len(list_children(api)) == PROCESSES
    assert scrape(settings)["emotune_http_requests_total"] == REQUESTS


def test_none_outlives_the_one_that_watches_over_them(settings: Settings, temporary: Path, api: Process) -> None:
    children = list_children(api)
    api.popen.kill()
    _, alive = psutil.wait_procs(children, timeout=REQUEST_SECONDS)
    assert alive == []
    # The port is free again; and the next one ends in order, without leaving a file.
    left = set(temporary.iterdir())
    api.log_path.unlink()
    again = start_api(settings, temporary)
    children = list_children(again)
    assert set(temporary.iterdir()) > left
    again.popen.send_signal(signal.SIGTERM)
    assert again.popen.wait(REQUEST_SECONDS) == 0
    assert not any(child.is_running() for child in children)
    assert set(temporary.iterdir()) == left


def test_what_keeps_them_from_beginning_ends_the_command(settings: Settings, temporary: Path) -> None:
    with socket.create_server(("127.0.0.1", settings.port)):
        process = launch_api(settings, temporary)
        assert process.popen.wait(START_SECONDS) != 0
    assert "Address already in use" in process.read_log_tail()
