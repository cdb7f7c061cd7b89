"""Teams, their API keys, and finding the caller who sent a key."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload

from jobs.clock import utc_now
from jobs.errors import ApiKeyInvalid, ApiKeyNotFound, NameEmpty, TeamNameTaken, TeamNotFound
from jobs.models import ApiKey, Team

KEY_PREFIX = "emo_"
KEY_BYTES = 32
SHOWN_CHARACTERS = 12

# `last_used_at` is shown to people, who need no more precision; updating it at every request would turn each read into
# a write.
LAST_USED_PRECISION = timedelta(minutes=1)


def get_or_create_team(session: Session, *, name: str) -> Team:
    """The team with this name, created if there is none. Raises NameEmpty."""
    if not name.strip():
        raise NameEmpty
    team = session.scalar(select(Team).where(Team.name == name))
    if team is None:
        team = Team(name=name)
        session.add(team)
        session.flush()
    return team


def create_team(session: Session, *, name: str) -> Team:
    """Create a team with weight 1 and without quotas. Raises TeamNameTaken."""
    team = Team(name=name)
    try:
        with session.begin_nested():
            session.add(team)
    except IntegrityError as error:
        raise TeamNameTaken(f"A team {name!r} exists already.", field="name") from error
    return team


def get_any_team(session: Session, *, name: str) -> Team:
    """The team with this name or id. Raises TeamNotFound."""
    statement = select(Team).where(or_(Team.name == name, Team.id == name))
    # One team's name may equal another team's id; the id takes precedence.
    teams = sorted(session.scalars(statement), key=lambda team: team.id != name)
    if not teams:
        raise TeamNotFound("There is no team with this name or id. `GET /teams` lists them.")
    return teams[0]


def get_team(session: Session, *, team_id: str) -> Team:
    """The team with this id, which has to exist."""
    return session.get_one(Team, team_id)


def create_key(session: Session, *, team: Team, name: str, is_operator: bool = False) -> tuple[ApiKey, str]:
    """Create a key; returns it and its secret, which is shown once and not stored."""
    secret = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    key = ApiKey(
        team_id=team.id,
        name=name,
        prefix=secret[:SHOWN_CHARACTERS],
        sha256=digest_secret(secret),
        is_operator=is_operator,
    )
    session.add(key)
    session.flush()
    return key, secret


@dataclass(frozen=True)
class Caller:
    """Who sent a request: an API key and its team."""

    key_id: str
    team_id: str
    last_used_at: datetime | None
    is_operator: bool = False
    key_name: str = ""

    @property
    def is_use_worth_noting(self) -> bool:
        return self.last_used_at is None or utc_now() - self.last_used_at > LAST_USED_PRECISION


# Selects columns instead of objects and is built once, because it runs at every request.
_FIND_CALLER = select(ApiKey.id, ApiKey.team_id, ApiKey.last_used_at, ApiKey.is_operator, ApiKey.name).where(
    ApiKey.sha256 == bindparam("sha256"), ApiKey.revoked_at.is_(None)
)


# The columns that every other way to find a caller has to select, in this order.
CALLER_COLUMNS = tuple(_FIND_CALLER.selected_columns)


def authenticate(session: Session, *, secret: str) -> Caller:
    """The caller with this secret. Raises ApiKeyInvalid.

    The key is looked up by its digest, so the time that takes reveals nothing about the secret.
    """
    row = session.execute(_FIND_CALLER, {"sha256": digest_secret(secret)}).one_or_none()
    if row is None:
        raise ApiKeyInvalid
    return Caller(*row)


def note_use(session: Session, *, key_id: str) -> None:
    key = session.get(ApiKey, key_id)
    if key is not None:
        key.last_used_at = utc_now()


def list_keys(session: Session) -> Sequence[ApiKey]:
    """All keys of the installation, oldest first, their teams loaded. For the operator's command line only."""
    return session.scalars(select(ApiKey).options(joinedload(ApiKey.team)).order_by(ApiKey.id)).all()


def revoke_key(session: Session, *, key_id: str) -> ApiKey:
    """Revoke a key; revoking it again keeps the first date. Raises ApiKeyNotFound."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise ApiKeyNotFound
    key.revoked_at = key.revoked_at or utc_now()
    return key


def digest_secret(secret: str) -> str:
    """The hexadecimal SHA-256 of a secret. The secret has 256 random bits, so it needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
