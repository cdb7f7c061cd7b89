"""Rows of a queue for tests: teams, waiting jobs, slots and runs, added without the checks of the verbs."""

from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from jobs.models import Job, Run, Slot, Team
from jobs.queue import usage
from jobs.status import JobStatus

# Ids in the order in which they are made; ids of the same millisecond would otherwise have no order.
_numbers = count()


def make_id(prefix: str) -> str:
    return f"{prefix}_{next(_numbers):026d}"


def add_team(session: Session, name: str, **columns: Any) -> Team:
    team = Team(id=make_id("team"), name=name, **columns)
    session.add(team)
    session.flush()
    return team


def add_waiting(session: Session, team_id: str, **columns: Any) -> Job:
    """Add a queued job without charging for it."""
    job = Job(team_id=team_id, **{**make_job_columns(), **columns})
    session.add(job)
    session.flush()
    return job


def make_job_columns() -> dict[str, Any]:
    return {
        "id": make_id("job"),
        "name": "tune",
        "base_model": "tiny-gemma",
        "config": {},
        "dataset_id": "ds_0",
        "dataset_name": "chats",
        "dataset_sha256": "0" * 64,
        "axes": ["SADNESS_JOY"],
        "request_sha256": "0" * 64,
    }


def add_slot(session: Session, name: str, now: datetime, **columns: Any) -> Slot:
    slot = Slot(name=name, host="here", seen_at=now, **{"device": "cpu", **columns})
    session.add(slot)
    session.flush()
    return slot


def begin_run(session: Session, job: Job, slot: str, now: datetime, *, size: float = 1.0) -> None:
    """Change the rows as if the job had been claimed."""
    job.status, job.attempt, job.slot, job.heartbeat_at = JobStatus.RUNNING, job.attempt + 1, slot, now
    session.add(
        Run(
            job_id=job.id,
            attempt=job.attempt,
            team_id=job.team_id,
            slot=slot,
            slot_size=size,
            expected_seconds=usage.expect_run(job),
            started_at=now,
        )
    )
    session.flush()


def end_run(session: Session, job: Job, now: datetime, *, status: JobStatus = JobStatus.SUCCEEDED) -> None:
    """Change the rows as if the job's run had ended at `now`."""
    run = session.get_one(Run, (job.id, job.attempt))
    run.ended_at, run.outcome = now, status.value
    job.status, job.slot = status, None
    session.flush()
    usage.charge_run(session, job_id=job.id, attempt=job.attempt, now=now)
