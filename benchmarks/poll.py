"""How fast `GET /jobs/{id}` answers, compared with a bare FastAPI route that reads one row, in the same run.

    .venv/bin/python benchmarks/poll.py

Both are served by uvicorn in two processes, from the same SQLite file with the same engine settings, and requested in
turns by 16 connections: of `wrk` if it is installed, else of threads of this process, which measure lower rates.
"""

import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from fastapi import FastAPI

from api.main import create_app
from cli.migrate import migrate
from emomodel.config import TrainConfig
from jobs.access.teams import create_key, get_or_create_team
from jobs.data.datasets import add_dataset
from jobs.database.engine import Database
from jobs.ids import new_id
from jobs.models import Team
from jobs.posting.create import create_job
from jobs.posting.job_request import JobInputs, JobRequest
from jobs.runs import claims
from jobs.settings import Settings

CONNECTIONS = 16
ROUND_SECONDS = 4
ROUNDS = 4
NEEDED_RATIO = 0.5
START_SECONDS = 60


def make_service() -> FastAPI:
    """Make the service with its settings from the environment."""
    return create_app(Settings())


def make_hello() -> FastAPI:
    """Make an app that measures the minimum cost of the framework and of reading one row."""
    app = FastAPI()
    database = Database(Settings().sqlalchemy_url)

    @app.get("/hello/{team_id}")
    def hello(team_id: str) -> dict[str, str]:
        with database.read() as session:
            team = session.get_one(Team, team_id)
            return {"id": team.id, "name": team.name}

    return app


def make_running_job(settings: Settings) -> tuple[str, str, str]:
    """Make a running job, since those are polled most; return its team's id, the key's secret, and its own id."""
    database = Database(settings.sqlalchemy_url)
    with database.write() as session:
        team = get_or_create_team(session, name="bench")
        _, secret = create_key(session, team=team, name="bench")
        dataset = add_dataset(
            session,
            dataset_id=new_id("ds"),
            team_id=team.id,
            name="chats",
            size_bytes=1,
            sha256="0" * 64,
            axes=["SADNESS_JOY", "FEAR_COURAGE"],
            example_count=1,
            report={},
        )
        request = JobRequest(
            team_id=team.id, base_model="none", dataset_id=dataset.id, config=TrainConfig(), name="poll"
        )
        job, _ = create_job(session, request=request, inputs=JobInputs(dataset=dataset))
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=3600)
    database.close()
    return team.id, secret, job.id


@contextmanager
def serve(factory: str, data_dir: Path, *, database_url: str | None = None) -> Iterator[str]:
    """Start a uvicorn on a free port and yield its URL. Without a database URL it uses SQLite in the data folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    here = Path(__file__)
    command = [sys.executable, "-m", "uvicorn", f"{here.stem}:{factory}", "--factory", "--app-dir", str(here.parent)]
    command += ["--port", str(port), "--no-access-log", "--log-level", "warning"]
    environment = os.environ | {"EMOTUNE_DATA_DIR": str(data_dir)}
    if database_url is not None:
        environment["EMOTUNE_DATABASE_URL"] = database_url
    process = subprocess.Popen(command, env=environment, cwd=here.parent.parent)
    try:
        deadline = time.monotonic() + START_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{factory} did not start in {START_SECONDS} s")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def measure(url: str, secret: str) -> float:
    """Return the requests per second in one round."""
    if shutil.which("wrk") is None:
        return measure_by_threads(url, secret)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_SECONDS}s", "-H", f"Authorization: Bearer {secret}", url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(output)
    match = re.search(r"Requests/sec:\s+([\d.]+)", output)
    if match is None:
        raise RuntimeError(output)
    return float(match[1])


def measure_by_threads(url: str, secret: str) -> float:
    host, path = re.fullmatch(r"http://([^/]+)(/.*)", url).groups()  # type: ignore[union-attr]  # we made the URL
    counts = [0] * CONNECTIONS
    deadline = time.monotonic() + ROUND_SECONDS

    def ask(index: int) -> None:
        connection = http.client.HTTPConnection(host)
        while time.monotonic() < deadline:
            connection.request("GET", path, headers={"Authorization": f"Bearer {secret}"})
            if connection.getresponse().read():
                counts[index] += 1

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / ROUND_SECONDS


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        migrate(settings)
        team_id, secret, job_id = make_running_job(settings)
        with serve("make_hello", settings.data_dir) as hello, serve("make_service", settings.data_dir) as api:
            for url in (f"{hello}/hello/{team_id}", f"{api}/jobs/{job_id}"):
                httpx2.get(url, headers={"Authorization": f"Bearer {secret}"}).raise_for_status()
            rounds = [
                (measure(f"{hello}/hello/{team_id}", secret), measure(f"{api}/jobs/{job_id}", secret))
                for _ in range(ROUNDS)
            ]
    for number, (bare, poll) in enumerate(rounds, start=1):
        print(f"round {number}: hello {bare:7,.0f}/s   poll {poll:7,.0f}/s   ratio {poll / bare:.2f}")
    ratio = statistics.median(poll / bare for bare, poll in rounds)
    print(f"median ratio {ratio:.2f}, needed {NEEDED_RATIO}")
    sys.exit(ratio < NEEDED_RATIO)


if __name__ == "__main__":
    main()
