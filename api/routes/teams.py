"""Teams: one's own share and quotas; and all of them, for the operator."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Path

from api.deps import AccessDep, BoardKeeperDep, DatabaseDep, DoorbellDep, OperatorDep
from api.errors import error_responses
from api.key_schemas import TeamName
from api.queue_schemas import TeamChange, TeamRead
from api.schemas import Items
from jobs import operators

router = APIRouter(tags=["teams"], responses=error_responses(401))

TeamPath = Annotated[TeamName, Path(description="A team's name or id.")]


@router.get("/team")
def get_own_team(access: AccessDep, board_keeper: BoardKeeperDep) -> TeamRead:
    """Your team's share, usage and quotas."""
    with access.read() as (session, caller):
        reports = operators.list_teams(session, rules=board_keeper.rules)
        return TeamRead.of(next(each for each in reports if each.team.id == caller.team_id))


@router.get("/teams", responses=error_responses(403))
def list_teams(_operator: OperatorDep, database: DatabaseDep, board_keeper: BoardKeeperDep) -> Items[TeamRead]:
    """The operator's: all teams, by name."""
    with database.read() as session:
        reports = operators.list_teams(session, rules=board_keeper.rules)
        return Items(items=[TeamRead.of(report) for report in reports])


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
    """The operator's: set a team's weight and quotas. They hold for what waits already, too; what runs goes on."""
    with database.write() as session:
        changed = operators.change_team(session, name=team, changes=body.model_dump(exclude_unset=True))
        reports = operators.list_teams(session, rules=board_keeper.rules)
        answer = TeamRead.of(next(each for each in reports if each.team.id == changed.id))
    board_keeper.forget()
    # A higher quota may let a waiting job run.
    tasks.add_task(doorbell.ring)
    return answer
