"""A long queue, made fast: for benchmarks, and for tests of how claims and polls grow with it."""

import random
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from jobs.models import Job, Slot, Team
from jobs.priorities import PriorityClass
from jobs.settings import GIB
from jobs.status import JobStatus
from tests.support.queues import add_slot, add_team, make_id, make_job_columns

TEAM_COUNT = 50
BATCH = 2000


def fill_queue(session: Session, job_count: int, *, now: datetime, team_count: int = TEAM_COUNT) -> list[str]:
    """Queue jobs until `job_count` wait, of teams with different weights and pasts; returns the teams' ids."""
    generator = random.Random(0)  # noqa: S311  no secret
    team_ids = list(session.scalars(select(Team.id).order_by(Team.id)))
    while len(team_ids) < team_count:
        weight, usage = generator.choice([0.5, 1.0, 2.0]), generator.uniform(0, 1e5)
        team_ids.append(add_team(session, f"team-{len(team_ids)}", weight=weight, usage_seconds=usage, usage_at=now).id)
    if session.get(Slot, "slot-0") is None:
        add_slot(session, "small", now, device="cuda", memory_bytes=GIB)
        for number in range(4):
            device = "cuda" if number % 2 else "cpu"
            add_slot(session, f"slot-{number}", now, device=device, memory_bytes=80 * GIB)
    waiting = session.scalar(select(func.count()).select_from(Job).where(Job.status == JobStatus.QUEUED)) or 0
    # As wide as real rows, whose config and report make a scan of the table expensive.
    config = TrainConfig().model_dump(mode="json")
    rows = [
        {
            **make_job_columns(),
            "id": make_id("job"),
            "team_id": generator.choice(team_ids),
            "status": JobStatus.QUEUED,
            "priority_class": generator.choices(list(PriorityClass), [2, 7, 1])[0],
            "priority": generator.randint(-5, 5),
            "config": config,
            "dataset_report": {"line_count": 1, "problems": [], "warnings": ["x" * 500]},
            "needs_cuda": generator.random() < 0.3,
            "cpu_memory_bytes": generator.choice([2, 8, 200]) * GIB,
            "cuda_memory_bytes": generator.choice([2, 8, 200]) * GIB,
            "expected_seconds": generator.uniform(60, 7200),
            "prepaid_seconds": 60.0,
            "created_at": now - timedelta(seconds=generator.randint(1, 86_400)),
        }
        for _ in range(job_count - waiting)
    ]
    for start in range(0, len(rows), BATCH):
        session.execute(insert(Job), rows[start : start + BATCH])
    return team_ids


def gather_statistics(session: Session) -> None:
    """Update the statistics of the database, as it does by itself after a while."""
    session.execute(text("ANALYZE"))


def release(session: Session) -> None:
    """Let claimed jobs wait again."""
    session.execute(update(Job).where(Job.status == JobStatus.RUNNING).values(status=JobStatus.QUEUED, slot=None))


NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
