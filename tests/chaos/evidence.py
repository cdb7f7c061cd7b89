"""Evidence: what a run has left (rows, journal, hits), read once. The checks look only at this and at files."""

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.models import Artifact, Event, Job, Metric, Run
from jobs.settings import Settings
from tests.chaos.faults import Hit
from tests.chaos.journal import Life, read_lives
from tests.chaos.load import Submitted
from tests.chaos.twins import Curve
from tests.support.system import System

# On a busy machine a signal that was sent before a run began may arrive after its beginning.
AFTERMATH_SECONDS = 5.0


@dataclass(frozen=True)
class Evidence:
    """What the checks look at. `clock_offset` turns the journal's times into seconds since the epoch."""

    settings: Settings
    storage: Storage
    submitted: dict[str, Submitted]
    hits: list[Hit]
    twins: dict[str, Curve]
    jobs: dict[str, Job]
    runs: dict[tuple[str, int], Run]
    events: dict[str, list[Event]]
    metrics: dict[tuple[str, int], list[Metric]]
    artifacts: dict[str, list[Artifact]]
    lives: list[Life]
    clock_offset: float

    def list_runs(self, job_id: str) -> list[Run]:
        """List the job's runs in the order of their attempts."""
        return sorted((run for run in self.runs.values() if run.job_id == job_id), key=lambda run: run.attempt)

    def find_hit(self, run: Run, kinds: frozenset[str]) -> Hit | None:
        """Find a fault of one of these kinds that hit this run's slot, or all slots, while it ran or shortly before."""
        started_at, ended_at = _to_epoch(run.started_at), _to_epoch(run.ended_at)
        for hit in self.hits:
            struck_slot = hit.slot is None or hit.slot == run.slot
            if hit.kind in kinds and struck_slot and hit.at <= ended_at and hit.until + AFTERMATH_SECONDS >= started_at:
                return hit
        return None


def collect(
    system: System, database: Database, *, submitted: dict[str, Submitted], hits: list[Hit], twins: dict[str, Curve]
) -> Evidence:
    events: dict[str, list[Event]] = defaultdict(list)
    metrics: dict[tuple[str, int], list[Metric]] = defaultdict(list)
    artifacts: dict[str, list[Artifact]] = defaultdict(list)
    with database.read() as session:
        jobs = {job.id: job for job in session.scalars(select(Job))}
        runs = {(run.job_id, run.attempt): run for run in session.scalars(select(Run))}
        for event in session.scalars(select(Event).order_by(Event.id)):
            events[event.job_id].append(event)
        for metric in session.scalars(select(Metric).order_by(Metric.job_id, Metric.attempt, Metric.seq)):
            metrics[metric.job_id, metric.attempt].append(metric)
        for artifact in session.scalars(select(Artifact)):
            artifacts[artifact.job_id].append(artifact)
    return Evidence(
        settings=system.settings,
        storage=Storage(system.settings.data_dir),
        submitted=submitted,
        hits=hits,
        twins=twins,
        jobs=jobs,
        runs=runs,
        events=events,
        metrics=metrics,
        artifacts=artifacts,
        lives=read_lives(system.journal_path),
        clock_offset=time.time() - time.monotonic(),
    )


def _to_epoch(moment: datetime | None) -> float:
    return moment.timestamp() if moment is not None else float("inf")
