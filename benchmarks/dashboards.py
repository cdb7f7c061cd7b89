"""What many dashboards cost: 50 of one team poll `GET /jobs:overview` every two seconds, as a browser does.

    .venv/bin/python -m benchmarks.dashboards

A separate uvicorn serves a team with 2,000 jobs, from SQLite. Each dashboard shows 50 of them, some waiting, three
running, and sends `If-None-Match`. First nothing changes; then each running job gets metrics and a heartbeat every
second, as its worker would write them. Prints how many cores the API uses; the exit code is 1 from half a core on.
"""

import http.client
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import psutil

from benchmarks.poll import serve
from cli.migrate import migrate
from emomodel.config import TrainConfig
from emomodel.protocol.progress import Metric
from jobs.access.teams import create_key, get_or_create_team
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.ids import new_id
from jobs.models import Job
from jobs.runs import claims, slots
from jobs.settings import Settings
from jobs.status import JobStatus
from tests.support.queues import make_job_columns

DASHBOARDS = 50
POLL_SECONDS = 2.0
PHASE_SECONDS = 20.0
WARM_UP_SECONDS = 4.0
ENDED_COUNT = 1_950
WAITING_COUNT = 47
RUNNING_COUNT = 3
TOTAL_STEPS = 5_000
MOST_CORES = 0.5


@dataclass
class Tally:
    """The answers to the dashboards in one phase."""

    new_count: int = 0
    same_count: int = 0
    byte_count: int = 0
    seconds: list[float] = field(default_factory=list)


def fill(settings: Settings) -> tuple[Database, str, list[str]]:
    """Make the database; return it, a key's secret and the running jobs. The newest 50 jobs are running or waiting."""
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    columns = make_job_columns() | {"config": TrainConfig().model_dump(mode="json"), "base_model": "gemma-3-1b"}
    with database.write() as session:
        team = get_or_create_team(session, name="bench")
        _, secret = create_key(session, team=team, name="dashboard")

        def add(name: str, status: JobStatus) -> None:
            job_id, now = new_id("job"), utc_now() - timedelta(hours=1)
            report = {"warnings": ["x" * 500]}
            values = columns | {"name": name, "dataset_report": report, "expected_seconds": 600.0, "posted_by": "ci"}
            session.add(Job(**values | {"id": job_id, "team_id": team.id, "status": status, "created_at": now}))

        for number in range(ENDED_COUNT):
            add(f"run {number}", JobStatus.SUCCEEDED)
        for number in range(WAITING_COUNT + RUNNING_COUNT):
            add(f"next {number}", JobStatus.QUEUED)
        for number in range(RUNNING_COUNT):
            slots.note_slot(session, name=f"slot-{number}", device="cpu", host="here")
    running = []
    for number in range(RUNNING_COUNT):
        with database.write() as session:
            job = claims.claim_next(session, slot=f"slot-{number}", device="cpu", lease_seconds=3600)
        if job is None:
            raise RuntimeError("nothing was claimed")
        running.append(job.id)
    return database, secret, running


def report(database: Database, running: list[str], step: int) -> None:
    """Write what the workers write in one second: five steps of each job."""
    for number, job_id in enumerate(running):
        metrics = [
            (
                seq,
                Metric(
                    step=seq,
                    total_steps=TOTAL_STEPS,
                    epoch=seq / TOTAL_STEPS,
                    loss=4.0 / (1 + seq),
                    lora_learning_rate=1e-4,
                    emotion_learning_rate=1e-3,
                    tokens_per_second=400.0 + number,
                    token_count=seq * 1000,
                    elapsed_seconds=float(seq),
                    eta_seconds=float(TOTAL_STEPS - seq),
                    memory_bytes=1,
                ),
            )
            for seq in range(step, step + 5)
        ]
        with database.write() as session:
            claims.heartbeat(session, job_id=job_id, attempt=1, lease_seconds=3600)
            claims.record_metrics(session, job_id=job_id, attempt=1, metrics=metrics)
            slots.note_slot(session, name=f"slot-{number}", device="cpu", host="here")


def watch(url: str, secret: str, *, first_at: float, end_at: float, tally: Tally, lock: threading.Lock) -> None:
    """Poll as one dashboard."""
    host, path = re.fullmatch(r"http://([^/]+)(/.*)", url).groups()  # type: ignore[union-attr]  # we made the URL
    connection = http.client.HTTPConnection(host, timeout=30)
    headers = {"Authorization": f"Bearer {secret}"}
    next_at = first_at
    while next_at < end_at:
        time.sleep(max(next_at - time.monotonic(), 0))
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - began
        if answer.status not in (200, 304):
            raise RuntimeError(f"{answer.status}: {body!r}")
        headers["If-None-Match"] = answer.headers["ETag"]
        with lock:
            tally.new_count += answer.status == 200
            tally.same_count += answer.status == 304
            tally.byte_count += len(body)
            tally.seconds.append(seconds)
        next_at += POLL_SECONDS
    connection.close()


def run_phase(url: str, secret: str, seconds: float, each_second: Callable[[int], None]) -> tuple[Tally, float]:
    """Run one phase, and return the answers and the CPU seconds of the API per second."""
    (server,) = psutil.Process().children()
    tally, lock, began = Tally(), threading.Lock(), time.monotonic()
    threads = [
        threading.Thread(
            target=watch,
            args=(url, secret),
            # Spread evenly, since browsers are not all opened at the same moment.
            kwargs={
                "first_at": began + number * POLL_SECONDS / DASHBOARDS,
                "end_at": began + seconds,
                "tally": tally,
                "lock": lock,
            },
            daemon=True,
        )
        for number in range(DASHBOARDS)
    ]
    before = server.cpu_times()
    for thread in threads:
        thread.start()
    for second in range(int(seconds)):
        each_second(second)
        time.sleep(max(began + second + 1 - time.monotonic(), 0))
    for thread in threads:
        thread.join()
    after = server.cpu_times()
    used = after.user + after.system - before.user - before.system
    return tally, used / (time.monotonic() - began)


def main() -> None:
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        database, secret, running = fill(settings)
        report(database, running, 1)
        with serve("make_service", settings.data_dir) as api:
            url = f"{api}/jobs:overview?limit={WAITING_COUNT + RUNNING_COUNT}"
            steps = iter(range(6, TOTAL_STEPS, 5))
            phases: dict[str, Callable[[int], None]] = {
                "idle": lambda _: None,
                "changing": lambda _: report(database, running, next(steps)),
            }
            for name, each_second in phases.items():
                run_phase(url, secret, WARM_UP_SECONDS, each_second)
                tally, cores = run_phase(url, secret, PHASE_SECONDS, each_second)
                count = len(tally.seconds)
                print(
                    f"{name:<9} {count / PHASE_SECONDS:5.1f} polls/s   {tally.same_count / count:4.0%} are 304   "
                    f"{tally.byte_count / max(tally.new_count, 1) / 1024:6.1f} KiB each 200   "
                    f"median {1000 * statistics.median(tally.seconds):5.1f} ms   {cores:.3f} cores"
                )
                worst = max(worst, cores)
        database.close()
    print(f"at most {worst:.3f} cores, allowed {MOST_CORES}")
    sys.exit(worst >= MOST_CORES)


if __name__ == "__main__":
    main()
