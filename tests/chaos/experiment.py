"""One experiment: an installation on one database, a load, a plan of faults, a time to recover, and the checks."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx2
from sqlalchemy import func, select

from cli.migrate import migrate
from cli.processes import wait_until
from jobs.access.teams import create_key, get_or_create_team
from jobs.database.engine import Database
from jobs.doorbell import COLLECT_TASK, HOUSEKEEPING_QUEUE, make_celery
from jobs.models import Job, Run
from jobs.priorities import PriorityClass
from jobs.settings import GIB, Settings
from jobs.status import FINAL_STATUSES
from tests.chaos.checks import CHECKS
from tests.chaos.evidence import Evidence, collect
from tests.chaos.faults import Faults
from tests.chaos.file_checks import check_artifacts, check_leftovers, count_incoming
from tests.chaos.load import OPERATOR, REAL_MODEL, Load, list_teams, upload_dataset
from tests.chaos.plan import list_kinds, make_plan
from tests.chaos.stalls import StallWatch
from tests.chaos.trainer import FAST_MODEL
from tests.chaos.twins import Curve, get_template
from tests.support.ports import find_free_port
from tests.support.postgres import PostgresServer, create_database, find_postgres_binaries
from tests.support.system import START_SECONDS, System
from tests.support.timeline import Timeline

DatabaseKind = Literal["sqlite", "postgresql"]

TEAM_COUNT = 3
LEASE_SECONDS = 6.0
# The real training process reports nothing while it imports its libraries.
SILENCE_SECONDS = 60.0
# A supervisor's pause before it restarts a process that has died.
RESTART_SECONDS = (0.2, 2.0)
# The mean pause between two actions of the teams.
LOAD_GAP_SECONDS = 0.3
# From the last fault until all jobs must have ended: a lease, a sweep, and the jobs that are left.
SETTLE_SECONDS = 180.0
COLLECT_SECONDS = 30.0
# A process whose parent has just ended needs a moment to notice.
LEFT_OVER_SECONDS = 10.0
# A worker that is asked to leave has 5 s for a stop and 2 s for its trainer's SIGTERM; the rest is for its own end.
DRAIN_SECONDS = 12.0


@dataclass
class Outcome:
    """The results of an experiment."""

    database: DatabaseKind
    seed: int
    seconds: float = 0.0
    jobs_by_status: Counter[str] = field(default_factory=Counter)
    runs_by_end: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    hit_list: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)


class Experiment:
    """One experiment. Call `run` once."""

    def __init__(
        self,
        kind: DatabaseKind,
        *,
        seed: int,
        seconds: float,
        slot_count: int,
        folder: Path,
        twins_folder: Path,
        twins: dict[str, Curve],
        dataset: Path,
        tiny_gemma: Path,
    ) -> None:
        """`seconds` is how long faults are injected."""
        self._kind = kind
        self._seed = seed
        self._seconds = seconds
        self._slot_count = slot_count
        self._folder = folder
        self._twins_folder = twins_folder
        self._twins = twins
        self._dataset = dataset
        self._tiny_gemma = tiny_gemma
        self._outcome = Outcome(kind, seed)

    def run(self) -> Outcome:
        began = time.monotonic()
        self._folder.mkdir(parents=True)
        with self._serving_database() as (postgres, url):
            settings = self._make_settings(url)
            migrate(settings)
            database = Database(settings.sqlalchemy_url)
            timeline = Timeline()
            chance = random.Random(self._seed + 1)
            system = System(
                settings,
                timeline=timeline,
                restart_after=lambda: chance.uniform(*RESTART_SECONDS),
                slot_count=self._slot_count,
                template=get_template(self._twins_folder),
                postgres=postgres,
            )
            try:
                with StallWatch(self._folder / "stall-watch") as stalls:
                    evidence = self._shake(system, timeline, database, stalls)
            finally:
                system.kill_all()
                database.close()
        self._judge(evidence)
        self._outcome.seconds = time.monotonic() - began
        return self._outcome

    def _shake(self, system: System, timeline: Timeline, database: Database, stalls: StallWatch) -> Evidence:
        system.start()
        load = self._make_load(system, database)
        filler_bytes = int(2 * (_get_headroom(self._folder)))
        faults = Faults(system, timeline, database, filler_bytes=filler_bytes)
        kinds = list_kinds(is_sqlite=self._kind == "sqlite", seconds=self._seconds)
        first = timeline.now
        for fault in make_plan(self._seed, seconds=self._seconds, slot_count=self._slot_count, kinds=kinds):
            timeline.at(first + fault.at, lambda fault=fault: faults.inject(fault))  # type: ignore[misc]
        load.start()
        timeline.run_until(first + self._seconds)
        began_settling = timeline.now
        load.ask_to_stop()
        settled = timeline.run_until(
            timeline.now + SETTLE_SECONDS,
            stop_when=lambda: faults.are_over and load.has_let_go() and _count_open(database) == 0,
        )
        load.close()
        self._note("settle_seconds", round(timeline.now - began_settling, 1))
        if not settled:
            self._violate(f"{_count_open(database)} jobs have not ended {SETTLE_SECONDS:.0f} s after the last fault")

        def collect_now() -> Evidence:
            hits = [*faults.hits, *stalls.hits]
            return collect(system, database, submitted=load.report.jobs, hits=hits, twins=self._twins)

        self._collect_garbage(system, timeline, is_clean=lambda: not any(check_leftovers(collect_now())))
        slow = system.stop()
        self._outcome.violations += [f"{name} had to be killed at the end" for name in slow]
        wait_until(lambda: not system.list_marked(), seconds=LEFT_OVER_SECONDS)
        for process in system.list_marked():
            self._violate(f"left over: process {process.pid}, {' '.join(process.cmdline())[:200]}")
        self._take_over(load, faults, stalls)
        return collect_now()

    def _make_load(self, system: System, database: Database) -> Load:
        keys = {}
        for team in list_teams(TEAM_COUNT):
            with database.write() as session:
                row = get_or_create_team(session, name=team)
                row.max_priority_class = PriorityClass.URGENT
                _, keys[team] = create_key(session, team=row, name="chaos")
        url = f"http://{system.settings.host}:{system.settings.port}"
        content = self._dataset.read_bytes()
        dataset_ids = {}
        for team, key in keys.items():
            with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}) as client:
                dataset_ids[team] = upload_dataset(client, content, START_SECONDS)
        with database.write() as session:
            staff = get_or_create_team(session, name=OPERATOR)
            _, keys[OPERATOR] = create_key(session, team=staff, name="chaos", is_operator=True)
        return Load(url, keys, dataset_ids=dataset_ids, seed=self._seed, mean_gap_seconds=LOAD_GAP_SECONDS)

    def _collect_garbage(self, system: System, timeline: Timeline, *, is_clean: Callable[[], bool]) -> None:
        """Run the garbage collection as the housekeeping does every hour; twice, since it may run again at once."""
        timeline.run_until(timeline.now + START_SECONDS, stop_when=system.is_complete)
        celery = make_celery(system.settings)
        for _ in range(2):
            celery.send_task(COLLECT_TASK, queue=HOUSEKEEPING_QUEUE)
        deadline = timeline.now + COLLECT_SECONDS
        while timeline.now < deadline and not is_clean():
            timeline.run_until(timeline.now + 1)

    def _take_over(self, load: Load, faults: Faults, stalls: StallWatch) -> None:
        self._outcome.violations += load.report.violations
        self._outcome.hits = Counter(hit.kind for hit in faults.hits)
        self._outcome.hit_list = [vars(hit) for hit in faults.hits]
        self._outcome.missed = Counter(faults.missed)
        self._note("user_actions", dict(load.report.actions))
        self._note("refusals", dict(load.report.refusals))
        self._note("machine_stalls", [hit.detail for hit in stalls.hits])
        self._note("drain_seconds", sorted(round(seconds, 1) for _, seconds in faults.drains))
        for hit, seconds in faults.drains:
            disturbed = any(
                other is not hit
                and other.at < hit.at + seconds
                and other.until > hit.at
                and (other.slot is None or other.slot == hit.slot)
                for other in (*faults.hits, *stalls.hits)
            )
            if seconds > DRAIN_SECONDS and not disturbed:
                self._violate(f"{hit.slot} took {seconds:.1f} s to leave after SIGTERM")

    def _judge(self, evidence: Evidence) -> None:
        outcome = self._outcome
        for check in (*CHECKS, check_artifacts, check_leftovers):
            outcome.violations += list(check(evidence))
        outcome.jobs_by_status = Counter(job.status.value for job in evidence.jobs.values())
        outcome.runs_by_end = Counter(_describe_end(run) for run in evidence.runs.values())
        if not outcome.jobs_by_status["succeeded"]:
            self._violate("no job succeeded, so there was little to see")
        self._note("jobs", len(evidence.jobs))
        self._note("runs", len(evidence.runs))
        self._note("trainers", len(evidence.lives))
        self._note("trainers_resumed", sum(life.has_resumed for life in evidence.lives))
        self._note("real_jobs", sum(job.course == REAL_MODEL for job in evidence.submitted.values()))
        self._note("half_written_files", count_incoming(evidence.settings.data_dir))

    def _make_settings(self, url: str | None) -> Settings:
        return Settings(
            data_dir=self._folder / "data",
            database_url=url,
            base_models=dict.fromkeys((FAST_MODEL, REAL_MODEL), str(self._tiny_gemma)),
            port=find_free_port(),
            min_free_disk_bytes=_get_free_bytes(self._folder) - _get_headroom(self._folder),
            heartbeat_seconds=0.5,
            metric_flush_seconds=0.5,
            lease_seconds=LEASE_SECONDS,
            sweep_seconds=1,
            worker_seen_seconds=3,
            stop_grace_seconds=5,
            kill_grace_seconds=2,
            silence_seconds=SILENCE_SECONDS,
            trainer_threads=1,
        )

    @contextmanager
    def _serving_database(self) -> Iterator[tuple[PostgresServer | None, str | None]]:
        if self._kind == "sqlite":
            yield None, None
            return
        binaries = find_postgres_binaries()
        if binaries is None:
            raise RuntimeError("PostgreSQL's server programs are not installed")
        folder = self._folder / "postgres"
        folder.mkdir()
        server = PostgresServer(binaries, folder)
        server.create()
        server.start()
        try:
            yield server, create_database(binaries, server.url, "emotune")
        finally:
            server.stop(signal.SIGINT)

    def _note(self, name: str, value: object) -> None:
        self._outcome.facts[name] = value

    def _violate(self, sentence: str) -> None:
        self._outcome.violations.append(sentence)


def _count_open(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(Job).where(Job.status.not_in(FINAL_STATUSES))) or 0


def _describe_end(run: Run) -> str:
    cause = f" after {run.cause}" if run.cause is not None else ""
    return f"{run.outcome}{cause}" + (f" ({run.error_code})" if run.error_code else "")


def _get_free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _get_headroom(folder: Path) -> int:
    """The bytes that others may write to the same disk meanwhile without making it look full."""
    return min(3 * GIB, _get_free_bytes(folder) // 4)
