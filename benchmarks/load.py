"""Two minutes of a busy installation: 200 pollers, 20 uploaders and 5 running jobs, next to a bare FastAPI.

    .venv/bin/python -m benchmarks.load [--database postgresql|sqlite] [--seconds 120] [--api-processes 4]

Real processes on 127.0.0.1 in a temporary folder: Valkey, the API in as many processes as docker-compose.yml gives it,
the housekeeping and five slots, whose training processes are those of the chaos suite, which train nothing and report
ten steps a second. Beside them a bare FastAPI reads one row by its primary key (benchmarks/poll.py, `make_hello`): with
SQLAlchemy in a plain `def`, from the same database with the same engine settings, in a uvicorn of its own. One client
process polls both in the same seconds, so that a slow machine slows both. Another one uploads.

The exit code is 1 if any answer was not 200, 201 or 304, if the 99th percentile of all polls is at least 10 times that
of the bare read, or if the API's memory grew.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple, NoReturn

import psutil

from benchmarks.load_clients import Plan, Result
from benchmarks.load_report import SAMPLE_SECONDS, Seen, Size, describe, judge, merge
from benchmarks.load_stage import JOBS, fill, make_plans, make_settings, post_jobs, read_api_processes, serve_database
from benchmarks.poll import serve
from cli.migrate import migrate
from cli.processes import Process, start_process
from jobs.database.engine import Database
from jobs.models import Job
from jobs.status import JobStatus
from tests.chaos.trainer import FAST_MODEL
from tests.support.system import START_SECONDS, System
from tests.support.timeline import Timeline
from tests.support.tiny_base import make_tiny_base

ROOT = Path(__file__).resolve().parent.parent

SECONDS = 120.0
POLLERS = 200
UPLOADERS = 20
# The time for starting and ending, beyond the load itself.
EXTRA_SECONDS = 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--pollers", type=int, default=POLLERS)
    parser.add_argument("--uploaders", type=int, default=UPLOADERS)
    parser.add_argument("--api-processes", type=int, default=read_api_processes())
    options = parser.parse_args()
    size = Size(options.database, options.seconds, options.pollers, options.uploaders, options.api_processes)
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _interrupt)
    signal.alarm(int(size.seconds) + EXTRA_SECONDS)
    folder = Path(tempfile.mkdtemp(prefix="emotune-load-"))
    try:
        seen = run(folder, size)
    finally:
        shutil.rmtree(folder)
    print("\n".join(describe(size, seen)))
    problems = list(judge(seen))
    print("\n".join(problems) if problems else "all goals are met")
    sys.exit(bool(problems))


def run(folder: Path, size: Size) -> Seen:
    # Processes of PostgreSQL's own account need access.
    folder.chmod(0o711)
    with serve_database(folder, size.database) as url:
        settings = make_settings(folder, url, size)
        make_tiny_base(folder / FAST_MODEL)
        migrate(settings)
        timeline = Timeline()
        system = System(
            settings,
            timeline=timeline,
            restart_after=lambda: 0.0,
            slot_count=JOBS,
            template=folder,
            postgres=None,
        )
        try:
            with serve("make_hello", settings.data_dir, database_url=url) as bare_url:
                system.start()
                return load(system, timeline, size, bare_url)
        finally:
            system.kill_all()


def load(system: System, timeline: Timeline, size: Size, bare_url: str) -> Seen:
    """Post the jobs, wait until all of them run, start the clients, and measure."""
    url = f"http://{system.settings.host}:{system.settings.port}"
    keys = fill(system.settings)
    jobs = post_jobs(url, keys)
    database = Database(system.settings.sqlalchemy_url)
    try:
        with database.read() as session:
            team_id = session.get_one(Job, jobs[0][1]).team_id
        if not timeline.run_until(timeline.now + START_SECONDS, stop_when=lambda: count_running(database) == JOBS):
            raise RuntimeError(f"{count_running(database)} of {JOBS} jobs run after {START_SECONDS:.0f} s")
        first_step = count_steps(database)
        print(f"{JOBS} jobs run; the load starts", flush=True)
        plans = make_plans(size, url, bare_url, f"/hello/{team_id}", keys, jobs)
        clients = [start_clients(system.settings.data_dir, name, plan) for name, plan in plans.items()]
        api = psutil.Process(system.components["api"].pid)
        rss_bytes: list[int] = []
        timeline.every(SAMPLE_SECONDS, lambda: rss_bytes.append(measure(api).rss_bytes))
        before, began = measure(api), timeline.now
        timeline.run_until(began + 2 * size.seconds, stop_when=lambda: not any(each.is_running for each in clients))
        used = measure(api).cpu_seconds - before.cpu_seconds
        return Seen(
            clients=merge([read_result(system.settings.data_dir, each) for each in clients]),
            rss_bytes=rss_bytes,
            api_cores=used / (timeline.now - began),
            job_count=JOBS,
            step_count=count_steps(database) - first_step,
            restarted=[name for name, each in system.components.items() if each.exit_codes],
        )
    finally:
        database.close()


class Taken(NamedTuple):
    """The memory that a process and its children use, and the CPU time that they have used."""

    rss_bytes: int
    cpu_seconds: float


def measure(process: psutil.Process) -> Taken:
    whole = [process, *process.children(recursive=True)]
    times = [each.cpu_times() for each in whole]
    return Taken(sum(each.memory_info().rss for each in whole), sum(each.user + each.system for each in times))


def start_clients(folder: Path, name: str, plan: Plan) -> Process:
    (folder / f"{name}.plan.json").write_text(json.dumps(asdict(plan)))
    argv = [sys.executable, "-m", "benchmarks.load_clients"]
    argv += [str(folder / f"{name}.{what}.json") for what in ("plan", "result")]
    log_path = folder / "logs" / f"{name}.log"
    return start_process(name, argv, log_path=log_path, environment=os.environ, stop_seconds=1, cwd=ROOT)


def read_result(folder: Path, process: Process) -> Result:
    if process.is_running or process.popen.returncode != 0:
        process.stop()
        raise RuntimeError(f"the clients {process.name} did not end: {process.read_log_tail()}")
    return Result(**json.loads((folder / f"{process.name}.result.json").read_text()))


def count_running(database: Database) -> int:
    with database.read() as session:
        return session.query(Job).where(Job.status == JobStatus.RUNNING, Job.step > 0).count()


def count_steps(database: Database) -> int:
    with database.read() as session:
        return sum(job.step or 0 for job in session.query(Job).where(Job.status == JobStatus.RUNNING))


def _interrupt(number: int, _: object) -> NoReturn:
    raise TimeoutError(f"ended by {signal.Signals(number).name}")


if __name__ == "__main__":
    main()
