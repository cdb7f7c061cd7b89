"""The verbs on teams and API keys."""

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

# `last_used_at` is a hint for people: writing it at every request would make each read a write.
LAST_USED_PRECISION = timedelta(minutes=1)


def get_or_create_team(session: Session, *, name: str) -> Team:
    """Raises NameEmpty."""
    if not name.strip():
        raise NameEmpty
    team = session.scalar(select(Team).where(Team.name == name))
    if team is None:
        team = Team(name=name)
        session.add(team)
        session.flush()
    return team


def create_team(session: Session, *, name: str) -> Team:
    """Raises TeamNameTaken."""
    team = Team(name=name)
    try:
        with session.begin_nested():
            session.add(team)
    except IntegrityError as error:
        raise TeamNameTaken(f"There is a team {name!r} already.", field="name") from error
    return team


def get_any_team(session: Session, *, name: str) -> Team:
    """By name or id. Raises TeamNotFound."""
    statement = select(Team).where(or_(Team.name == name, Team.id == name))
    # A name may look like another team's id: the id counts.
    teams = sorted(session.scalars(statement), key=lambda team: team.id != name)
    if not teams:
        raise TeamNotFound("There is no team with this name or id. `GET /teams` lists them.")
    return teams[0]


def get_team(session: Session, *, team_id: str) -> Team:
    """The team that a caller speaks for."""
    return session.get_one(Team, team_id)


def create_key(session: Session, *, team: Team, name: str, is_operator: bool = False) -> tuple[ApiKey, str]:
    """A new key and its secret, which is shown this once and not kept."""
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
    """Who sent a request: a key, and the team that it speaks for."""

    key_id: str
    team_id: str
    last_used_at: datetime | None
    is_operator: bool = False
    key_name: str = ""

    @property
    def is_use_worth_noting(self) -> bool:
        return self.last_used_at is None or utc_now() - self.last_used_at > LAST_USED_PRECISION


# Columns instead of objects, and built once: it runs at every request.
_FIND_CALLER = select(ApiKey.id, ApiKey.team_id, ApiKey.last_used_at, ApiKey.is_operator, ApiKey.name).where(
    ApiKey.sha256 == bindparam("sha256"), ApiKey.revoked_at.is_(None)
)


# What any other way to find a caller selects.
CALLER_COLUMNS = tuple(_FIND_CALLER.selected_columns)


def authenticate(session: Session, *, secret: str) -> Caller:
    """The caller with this secret. Raises ApiKeyInvalid.

    The look-up is by digest: how long it takes tells nothing about the secret.
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
    """All keys of the installation, oldest first, teams loaded: for the operator's command line only."""
    return session.scalars(select(ApiKey).options(joinedload(ApiKey.team)).order_by(ApiKey.id)).all()


def revoke_key(session: Session, *, key_id: str) -> ApiKey:
    """Raises ApiKeyNotFound. Revoking twice keeps the first date."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise ApiKeyNotFound
    key.revoked_at = key.revoked_at or utc_now()
    return key


def digest_secret(secret: str) -> str:
    """What is kept of a secret of 256 random bits: hexadecimal sha256."""
    return hashlib.sha256(secret.encode()).hexdigest()
