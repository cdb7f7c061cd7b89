"""What only shows on a real connection: the stream of a running job, and clients that disconnect."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from emomodel.protocol.progress import Metric
from jobs.database.engine import Database
from jobs.models import Job
from jobs.runs import claims, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import Settings
from tests.unit.api.routes.test_datasets import LINE, list_files
from tests.unit.api.routes.test_progress import STREAM, read_frames
from tests.unit.conftest import TestTeam

WAIT_SECONDS = 10
CROWD_SECONDS = 20


@pytest.fixture
def address(app: FastAPI) -> Iterator[tuple[str, int]]:
    """The address of the app, which runs on a free port in this process."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    thread.join()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)


def test_a_follower_sees_metrics_as_they_come_and_holds_nothing(
    app: FastAPI,
    address: tuple[str, int],
    database: Database,
    team: TestTeam,
    make_job: Callable[..., Job],
    make_metric: Callable[[int], Metric],
) -> None:
    services = app.state.services
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    url = f"http://{address[0]}:{address[1]}/jobs/{job_id}/metrics"
    text = ""
    with httpx2.stream("GET", url, headers=team.headers | STREAM, timeout=WAIT_SECONDS) as response:
        chunks = response.iter_text()
        assert next(chunks) == ": ping\n\n"  # the stream opens before there is anything to send
        for step in (1, 2):
            with database.write() as session:
                claims.record_metrics(session, job_id=job_id, attempt=1, metrics=[(step, make_metric(step))])
            text += next(chunks)
            wait_until(lambda: services.database.engine.pool.checkedout() == 0)
            assert services.follower_limiter.borrowed_tokens == 0
        with database.write() as session:
            stops.request_cancel(session, team_id=team.id, job_id=job_id)
            run_ends.confirm_cancel(session, job_id=job_id, attempt=1, end=RunEnd(3))
        text += "".join(chunks)
    frames = read_frames(text)
    assert [frame.get("id") for frame in frames] == ["1-1", "1-2", None]
    assert frames[-1] == {"event": "end", "data": '{"status": "cancelled"}'}


def send_head(address: tuple[str, int], team: TestTeam, *lines: str) -> socket.socket:
    """Begin an upload on a plain socket: send the head of its request."""
    connection = socket.create_connection(address, timeout=WAIT_SECONDS)
    head = ("POST /datasets?name=a HTTP/1.1", "Host: test", f"Authorization: Bearer {team.secret}", *lines)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    return connection


def test_an_upload_that_breaks_off_leaves_nothing(
    address: tuple[str, int], settings: Settings, team: TestTeam, logs: list[dict[str, Any]]
) -> None:
    connection = send_head(address, team, f"Content-Length: {10 * 1024**2}")
    connection.sendall(LINE.encode() * 20_000)
    wait_until(lambda: list_files(settings) != [])
    connection.close()
    wait_until(lambda: list_files(settings) == [])
    wait_until(lambda: "client_gone" in [entry["event"] for entry in logs])
    assert "request_failed" not in [entry["event"] for entry in logs]


def test_an_upload_declared_too_large_is_refused_before_its_first_byte(
    address: tuple[str, int], settings: Settings, team: TestTeam
) -> None:
    size = settings.max_dataset_bytes + 1
    with send_head(address, team, f"Content-Length: {size}", "Expect: 100-continue") as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert list_files(settings) == []


def test_an_upload_holds_no_connection_to_the_database(
    app: FastAPI, address: tuple[str, int], settings: Settings, team: TestTeam
) -> None:
    with send_head(address, team, "Content-Length: 1000"):
        wait_until(lambda: list_files(settings) != [])
        assert app.state.services.database.engine.pool.checkedout() == 0


@pytest.mark.parametrize(("method", "count"), [("POST", 120), ("GET", 150)])
def test_a_crowd_larger_than_the_pools_is_answered(
    app: FastAPI,
    address: tuple[str, int],
    team: TestTeam,
    make_job: Callable[..., Job],
    method: str,
    count: int,
) -> None:
    path = f"/jobs/{make_job().id}/cancel" if method == "POST" else "/jobs"
    everyone = threading.Barrier(count)
    deadline = time.monotonic() + CROWD_SECONDS

    def ask() -> int:
        with closing(http.client.HTTPConnection(*address[:2], timeout=CROWD_SECONDS)) as connection:
            connection.connect()
            everyone.wait(CROWD_SECONDS)
            connection.request(method, path, headers=team.headers)
            response = connection.getresponse()
            response.read()
            return response.status

    with ThreadPoolExecutor(count) as crowd:
        statuses = [asked.result() for asked in [crowd.submit(ask) for _ in range(count)]]
    assert statuses == [200] * count
    assert time.monotonic() < deadline
    wait_until(lambda: app.state.services.database.engine.pool.checkedout() == 0)


def test_a_client_that_dies_within_a_part_leaves_the_parts_that_were_there(
    address: tuple[str, int], settings: Settings, team: TestTeam
) -> None:
    def send(part: str, declared_bytes: int) -> socket.socket:
        connection = socket.create_connection(address, timeout=WAIT_SECONDS)
        head = f"PUT /uploads/{upload_id}/parts/1 HTTP/1.1\r\nHost: x\r\nContent-Length: {declared_bytes}\r\n"
        head += f"Authorization: {team.headers['Authorization']}\r\n\r\n"
        connection.sendall((head + part).encode())
        return connection

    base = f"http://{address[0]}:{address[1]}"
    upload_id = httpx2.post(f"{base}/uploads", headers=team.headers, json={"name": "a"}).json()["id"]
    with closing(send("first", 5)) as connection:
        assert b"200 OK" in connection.recv(1000)
    with closing(send("second, and then the line is dead", 1000)):
        wait_until(lambda: list_files(settings) != [])
    wait_until(lambda: list_files(settings) == [])
    upload = httpx2.get(f"{base}/uploads/{upload_id}", headers=team.headers).json()
    assert upload["parts"] == [{"number": 1, "size_bytes": 5}]
    with closing(send("third", 5)) as connection:
        assert b"200 OK" in connection.recv(1000)
