"""The setting of a load test: a database, teams with earlier jobs, running jobs, and the plans of the clients."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.load_clients import Plan
from benchmarks.load_report import DatabaseKind, Size
from jobs.access.teams import create_key, get_or_create_team
from jobs.database.engine import Database
from jobs.models import Job
from jobs.settings import Settings
from jobs.status import JobStatus
from tests.chaos.load import list_teams, upload_dataset
from tests.chaos.trainer import FAST_MODEL
from tests.support.containers import ROOT, load_compose
from tests.support.ports import find_free_port
from tests.support.postgres import create_database, find_postgres_binaries, run_postgres
from tests.support.queues import make_job_columns
from tests.support.system import START_SECONDS

# The number of pollers that follow one job; the others have the table of jobs open.
FOLLOWER_SHARE = 0.5
BARE_POLLERS = 20
# Seconds between two requests of a follower of a job, of a page (dashboard/src/api/poll.ts), and to the bare API.
FOLLOW_SECONDS = 1.0
DASHBOARD_SECONDS = 2.0
BARE_SECONDS = 1.0
# The pause of each uploader between two datasets, and the sizes of these, in turns.
UPLOAD_SECONDS = 5.0
UPLOAD_BYTES = (300_000, 600_000, 1_000_000, 2_000_000)
JOBS = 5
STEP_MS = 100
TEAMS = 2
# The earlier jobs of a team, so that its table is full.
ENDED_COUNT = 200


@contextmanager
def serve_database(folder: Path, kind: DatabaseKind) -> Iterator[str | None]:
    """Yield the URL of a database; None for SQLite in the data folder. PostgreSQL syncs each commit, its default."""
    if kind == "sqlite":
        yield None
        return
    binaries = find_postgres_binaries()
    if binaries is None:
        sys.exit("PostgreSQL's server programs are not installed (Debian: apt-get install postgresql)")
    (folder / "postgres").mkdir()
    with run_postgres(binaries, folder / "postgres", syncs=True) as server_url:
        yield create_database(binaries, server_url, "emotune")


def read_api_processes() -> int:
    """The number of API processes of an installation by docker-compose.yml whose `.env` doesn't set it."""
    return int(load_compose()["services"]["api"]["environment"]["EMOTUNE_API_PROCESSES"])


def make_settings(folder: Path, url: str | None, size: Size) -> Settings:
    return Settings(
        data_dir=folder / "data",
        database_url=url,
        base_models={FAST_MODEL: str(folder / FAST_MODEL)},
        port=find_free_port(),
        api_processes=size.api_processes,
        min_free_disk_bytes=0,
    )


def fill(settings: Settings) -> list[str]:
    """Make teams with earlier jobs, and return a key of each."""
    database, keys = Database(settings.sqlalchemy_url), []
    for name in list_teams(TEAMS):
        with database.write() as session:
            team = get_or_create_team(session, name=name)
            _, secret = create_key(session, team=team, name="load")
            columns = {"team_id": team.id, "status": JobStatus.SUCCEEDED}
            session.add_all(Job(**make_job_columns() | columns) for _ in range(ENDED_COUNT))
            keys.append(secret)
    database.close()
    return keys


def post_jobs(url: str, keys: Sequence[str]) -> list[tuple[str, str]]:
    """Post jobs that run longer than the load, and return the key of its team and the id of each."""
    config = {"max_steps": 1_000_000, "seed": STEP_MS, "checkpoint_every": 1000, "batch_size": 2}
    jobs = []
    content = (ROOT / "samples" / "chats.jsonl").read_bytes()
    for number in range(JOBS):
        key = keys[number % len(keys)]
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
            dataset_id = upload_dataset(client, content, START_SECONDS)
            body = {"dataset_id": dataset_id, "base_model": FAST_MODEL, "config": config, "name": f"load {number}"}
            answer = client.post("/jobs", json=body)
            answer.raise_for_status()
            jobs.append((key, str(answer.json()["id"])))
    return jobs


def make_plans(
    size: Size, url: str, bare_url: str, bare_path: str, keys: Sequence[str], jobs: Sequence[tuple[str, str]]
) -> dict[str, Plan]:
    """Make the plans of two client processes: one polls, the other uploads."""
    follower_count = int(FOLLOWER_SHARE * size.pollers)
    common: dict[str, Any] = {
        "url": url,
        "bare_url": bare_url,
        "bare_path": bare_path,
        "seconds": size.seconds,
        "follow_seconds": FOLLOW_SECONDS,
        "dashboard_seconds": DASHBOARD_SECONDS,
        "bare_seconds": BARE_SECONDS,
        "upload_seconds": UPLOAD_SECONDS,
        "upload_bytes": list(UPLOAD_BYTES),
    }
    nobody: dict[str, Any] = {"followers": [], "dashboards": [], "bare_count": 0, "uploaders": []}
    polling = nobody | {
        "followers": [jobs[number % len(jobs)] for number in range(follower_count)],
        "dashboards": [keys[number % len(keys)] for number in range(size.pollers - follower_count)],
        "bare_count": BARE_POLLERS,
    }
    uploading = nobody | {"uploaders": [keys[number % len(keys)] for number in range(size.uploaders)]}
    return {"pollers": Plan(**common | polling), "uploaders": Plan(**common | uploading)}
