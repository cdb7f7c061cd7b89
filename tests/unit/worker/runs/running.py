"""Shared helpers of tests of runs: run a job with a fake training process, wait for it, and read its results."""

import threading

import psutil

from jobs import records
from jobs.database.engine import Database
from jobs.models import Artifact, Event, Job, Run
from tests.support.waiting import wait_for
from tests.unit.worker.conftest import fake_argv
from worker.resources import Resources
from worker.runs.turn import run_next


def get_job(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return session.get_one(Job, job_id)


def list_artifacts(database: Database, job_id: str) -> dict[str, Artifact]:
    with database.read() as session:
        return {artifact.kind: artifact for artifact in records.list_artifacts(session, job_id=job_id)}


def list_events(database: Database, job_id: str) -> list[Event]:
    with database.read() as session:
        return list(records.list_events(session, job_id=job_id, after=0, limit=100))


def get_run(database: Database, job: Job) -> Run:
    with database.read() as session:
        return session.get_one(Run, (job.id, job.attempt))


def run_in_thread(resources: Resources, scenario: str) -> threading.Thread:
    thread = threading.Thread(target=run_next, args=[resources, fake_argv(scenario)])
    thread.start()
    return thread


def wait_for_first_step(database: Database, job_id: str) -> None:
    wait_for(lambda: get_job(database, job_id).step > 0)


def find_trainers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and any("fake_trainer" in part for part in child.cmdline())
    ]


def run_until_it_fails(resources: Resources, argv: list[str]) -> None:
    """Run the job as often as a job may crash."""
    for _ in range(resources.settings.max_crashes):
        run_next(resources, argv)
