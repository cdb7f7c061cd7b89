"""API keys: a team's own; those of all teams for the operator."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.access import AccessDep, CallerDep
from api.deps import DatabaseDep
from api.errors import error_responses
from api.schemas.base import Items
from api.schemas.keys import KeyCreate, KeyCreated, KeyRead
from api.schemas.teams import TeamName
from jobs.access import keys

router = APIRouter(tags=["keys"], responses=error_responses(401, 403, 404))

KeyIdPath = Annotated[str, Path(pattern=r"^key_[0-9a-z]{26}$", description="Id of a key of your team.")]


@router.get("/keys")
def list_keys(
    access: AccessDep,
    team: Annotated[TeamName | None, Query(description="For operators: another team, by name or id.")] = None,
) -> Items[KeyRead]:
    """List the keys of your team, newest first, including revoked ones, without their secrets."""
    with access.read() as (session, caller):
        found = keys.list_team_keys(session, caller=caller, team_name=team)
        return Items(items=[KeyRead.of(key, current_id=caller.key_id) for key in found])


@router.post("/keys", status_code=201, responses=error_responses(400, 413))
def create_key(body: KeyCreate, caller: CallerDep, database: DatabaseDep) -> KeyCreated:
    """Create a key of your team. Operators can also create keys of other teams, and operators' keys."""
    with database.write() as session:
        key, secret = keys.create_team_key(
            session, caller=caller, name=body.name, team_name=body.team, is_operator=body.is_operator
        )
        return KeyCreated(key=KeyRead.of(key, current_id=caller.key_id), secret=secret)


@router.post("/keys/{key_id}/revoke")
def revoke_key(key_id: KeyIdPath, caller: CallerDep, database: DatabaseDep) -> KeyRead:
    """Revoke a key at once and for ever, and end its sessions. Only operators can revoke operators' keys."""
    with database.write() as session:
        key = keys.revoke_team_key(session, caller=caller, key_id=key_id)
        return KeyRead.of(key, current_id=caller.key_id)
