"""Teams: the caller's own share and quotas, and for operators those of all teams."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path, Query
from sqlalchemy.orm import Session

from api.access import AccessDep, OperatorDep
from api.deps import BoardKeeperDep, DatabaseDep, DoorbellDep
from api.errors import error_responses
from api.schemas.base import Items
from api.schemas.teams import TeamChange, TeamCreate, TeamName, TeamRead, UsageRead
from jobs.access import teams
from jobs.clock import utc_now
from jobs.queue import standings, usage_days
from jobs.queue.rules import QueueRules
from jobs.queue.usage import load_standings

router = APIRouter(tags=["teams"], responses=error_responses(401))

MAX_DAYS = 366
DEFAULT_DAYS = 30

DayCount = Annotated[int, Query(ge=1, le=MAX_DAYS, description="Number of days, including today.")]
TeamPath = Annotated[TeamName, Path(description="A team's name or id.")]


@router.get("/team")
def get_own_team(access: AccessDep, board_keeper: BoardKeeperDep) -> TeamRead:
    """Return your team's share, usage and quotas."""
    with access.read() as (session, caller):
        return _read_team(session, caller.team_id, board_keeper.rules)


@router.get("/team/usage")
def get_own_usage(access: AccessDep, board_keeper: BoardKeeperDep, days: DayCount = DEFAULT_DAYS) -> UsageRead:
    """Return what your team has used by day (UTC), and within the window of its quota."""
    with access.read() as (session, caller):
        return _read_usage(session, caller.team_id, board_keeper.rules, days)


@router.get("/teams", responses=error_responses(403))
def list_teams(_operator: OperatorDep, database: DatabaseDep, board_keeper: BoardKeeperDep) -> Items[TeamRead]:
    """For operators: list all teams by name."""
    with database.read() as session:
        reports = standings.list_teams(session, rules=board_keeper.rules)
        return Items(items=[TeamRead.of(report) for report in reports])


@router.post("/teams", status_code=201, responses=error_responses(400, 403, 409, 413))
def create_team(
    body: TeamCreate, _operator: OperatorDep, database: DatabaseDep, board_keeper: BoardKeeperDep
) -> TeamRead:
    """For operators: create a team with the weight 1 and without quotas. It has no key yet."""
    with database.write() as session:
        team = teams.create_team(session, name=body.name)
        return _read_team(session, team.id, board_keeper.rules)


@router.get("/teams/{team}/usage", responses=error_responses(403, 404))
def get_team_usage(
    team: TeamPath,
    _operator: OperatorDep,
    database: DatabaseDep,
    board_keeper: BoardKeeperDep,
    days: DayCount = DEFAULT_DAYS,
) -> UsageRead:
    """For operators: return what a team has used by day (UTC), and within the window of its quota."""
    with database.read() as session:
        return _read_usage(session, teams.get_any_team(session, name=team).id, board_keeper.rules, days)


@router.patch("/teams/{team}", responses=error_responses(400, 403, 404, 413))
def change_team(
    team: TeamPath,
    body: TeamChange,
    _operator: OperatorDep,
    database: DatabaseDep,
    board_keeper: BoardKeeperDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
) -> TeamRead:
    """For operators: set a team's weight and quotas. They also apply to waiting jobs; running jobs continue."""
    with database.write() as session:
        changed = standings.change_team(session, name=team, changes=body.model_dump(exclude_unset=True))
        answer = _read_team(session, changed.id, board_keeper.rules)
    board_keeper.forget()
    # A higher quota may let a waiting job run.
    tasks.add_task(doorbell.ring)
    return answer


def _read_team(session: Session, team_id: str, rules: QueueRules) -> TeamRead:
    reports = standings.list_teams(session, rules=rules)
    return TeamRead.of(next(each for each in reports if each.team.id == team_id))


def _read_usage(session: Session, team_id: str, rules: QueueRules, day_count: int) -> UsageRead:
    now = utc_now()
    days = usage_days.list_days(session, team_id=team_id, day_count=day_count, now=now)
    standing = load_standings(session, rules=rules, now=now, with_windows=True)[team_id]
    return UsageRead.of(days, standing, window_seconds=rules.quota_window_seconds)
