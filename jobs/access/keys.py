"""API keys as the HTTP API manages them: a team manages its own keys, an operator those of all teams.

The command line, which opens the database itself, uses the verbs of jobs/access/teams.py.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from jobs.access.teams import Caller, create_key, get_any_team, get_team
from jobs.clock import utc_now
from jobs.errors import ApiKeyNotFound, OperatorNeeded
from jobs.models import ApiKey, Team

_WITH_TEAM = joinedload(ApiKey.team)


def get_own_key(session: Session, *, key_id: str) -> ApiKey:
    """The API key with this id, its team loaded."""
    return session.get_one(ApiKey, key_id, options=[_WITH_TEAM])


def list_team_keys(session: Session, *, caller: Caller, team_name: str | None = None) -> Sequence[ApiKey]:
    """The keys of a team, newest first, revoked ones included, their team loaded.

    Without `team_name` the team is the caller's. An operator may name any team, by its name or id.

    Raises OperatorNeeded and TeamNotFound.
    """
    team = _choose_team(session, caller, team_name)
    statement = select(ApiKey).where(ApiKey.team_id == team.id).order_by(ApiKey.id.desc())
    return session.scalars(statement.options(_WITH_TEAM)).all()


def create_team_key(
    session: Session, *, caller: Caller, name: str, team_name: str | None = None, is_operator: bool = False
) -> tuple[ApiKey, str]:
    """Create a key; returns it, its team loaded, and its secret.

    Only an operator may create keys for other teams, or operators' keys.

    Raises OperatorNeeded and TeamNotFound.
    """
    if is_operator and not caller.is_operator:
        raise OperatorNeeded(field="is_operator")
    team = _choose_team(session, caller, team_name)
    key, secret = create_key(session, team=team, name=name, is_operator=is_operator)
    return session.get_one(ApiKey, key.id, options=[_WITH_TEAM], populate_existing=True), secret


def revoke_team_key(session: Session, *, caller: Caller, key_id: str) -> ApiKey:
    """Revoke a key of the caller's team, or of any team for an operator; returns it, its team loaded.

    Revoking a key again keeps the first date.

    Raises ApiKeyNotFound, and OperatorNeeded for an operator's key.
    """
    statement = select(ApiKey).where(ApiKey.id == key_id).options(_WITH_TEAM)
    if not caller.is_operator:
        statement = statement.where(ApiKey.team_id == caller.team_id)
    key = session.scalar(statement)
    if key is None:
        raise ApiKeyNotFound
    if key.is_operator and not caller.is_operator:
        raise OperatorNeeded("Only operators can revoke an operator's key.")
    key.revoked_at = key.revoked_at or utc_now()
    return key


def _choose_team(session: Session, caller: Caller, team_name: str | None) -> Team:
    if team_name is None:
        return get_team(session, team_id=caller.team_id)
    if not caller.is_operator:
        raise OperatorNeeded(field="team")
    return get_any_team(session, name=team_name)
