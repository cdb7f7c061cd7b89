"""All teams with their weights, quotas and usage, and changing a team's weight and quotas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jobs.access.teams import get_any_team
from jobs.clock import utc_now
from jobs.models import Job, Team
from jobs.queue import usage
from jobs.queue.rules import QueueRules
from jobs.queue.shares import Standing
from jobs.status import JobStatus

CHANGEABLE = ("weight", "max_running", "max_queued", "max_slot_seconds", "max_priority_class")


@dataclass(frozen=True)
class TeamReport:
    """A team with its usage and its share of the slots."""

    team: Team
    standing: Standing
    queued_count: int
    share: float
    """Its part of all teams' weights, between 0 and 1."""
    used_share: float
    """Its part of all teams' decayed usage, between 0 and 1."""


def list_teams(session: Session, *, rules: QueueRules, now: datetime | None = None) -> Sequence[TeamReport]:
    """All teams with their usage, by name."""
    standings = usage.load_standings(session, rules=rules, now=now or utc_now(), with_windows=True)
    queued = session.execute(
        select(Job.team_id, func.count().label("queued_count"))
        .where(Job.status == JobStatus.QUEUED)
        .group_by(Job.team_id)
    )
    counts = {row.team_id: row.queued_count for row in queued}
    teams = session.scalars(select(Team).order_by(Team.name)).all()
    weights = sum(team.weight for team in teams)
    used_seconds = sum(standing.usage_seconds for standing in standings.values())
    return [
        TeamReport(
            team=team,
            standing=standings[team.id],
            queued_count=counts.get(team.id, 0),
            share=team.weight / weights,
            used_share=standings[team.id].usage_seconds / used_seconds if used_seconds else 0.0,
        )
        for team in teams
    ]


def change_team(session: Session, *, name: str, changes: Mapping[str, Any]) -> Team:
    """Change weight and quotas of the team with this name or id; None removes a quota. Raises TeamNotFound."""
    team = usage.lock_team(session, team_id=get_any_team(session, name=name).id)
    for field in CHANGEABLE:
        if field in changes:
            setattr(team, field, changes[field])
    session.flush()
    return team
