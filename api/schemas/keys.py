"""Wire models of API keys, and of the sessions that are opened with them."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.schemas.base import Read
from api.schemas.teams import ShortName, TeamName
from jobs.models import ApiKey, Team

MAX_SECRET_LENGTH = 200


class KeyRead(Read):
    """An API key without its secret. `last_used_at` is accurate to the minute."""

    id: str
    name: str
    prefix: str = Field(description="The first characters of the secret.")
    team: str = Field(description="The name of the key's team.")
    is_operator: bool
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    is_current: bool = Field(description="Whether this request was sent with this key, or with a session of it.")

    @classmethod
    def of(cls, key: ApiKey, *, current_id: str) -> "KeyRead":
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            team=key.team.name,
            is_operator=key.is_operator,
            created_at=key.created_at,
            last_used_at=key.last_used_at,
            revoked_at=key.revoked_at,
            is_current=key.id == current_id,
        )


class KeyCreate(BaseModel):
    """A key to create."""

    model_config = ConfigDict(extra="forbid")

    name: ShortName = Field(description="What the key is for.")
    team: TeamName | None = Field(None, description="For operators: another team, by name or id.")
    is_operator: bool = Field(
        False,
        strict=True,
        description="For operators: the key may also control the queue, and see what other teams own.",
    )


class KeyCreated(Read):
    """A new key."""

    key: KeyRead
    secret: str = Field(description="For `Authorization: Bearer`. It is shown only once and not stored.")


class SessionCreate(BaseModel):
    """An API key, or the code of a login link."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"oneOf": [{"required": ["api_key"]}, {"required": ["code"]}]}
    )

    api_key: str = Field("", min_length=1, max_length=MAX_SECRET_LENGTH)
    code: str = Field(
        "", min_length=1, max_length=MAX_SECRET_LENGTH, description="A code that `POST /login-codes` returned."
    )

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("give either `api_key` or `code`")
        return self


class TeamRef(Read):
    """A team by id and name."""

    id: str
    name: str

    @classmethod
    def of(cls, team: Team) -> "TeamRef":
        return cls(id=team.id, name=team.name)


class SessionRead(Read):
    """Who the caller is."""

    team: TeamRef
    key: KeyRead
    is_operator: bool
    csrf_token: str | None = Field(
        description="For the header `X-CSRF-Token`, required for changes by cookie; null for a Bearer key."
    )
    expires_at: datetime | None = Field(description="When the browser has to log in again; null for a Bearer key.")

    @classmethod
    def of(cls, key: ApiKey, *, csrf_token: str | None = None, expires_at: datetime | None = None) -> "SessionRead":
        return cls(
            team=TeamRef.of(key.team),
            key=KeyRead.of(key, current_id=key.id),
            is_operator=key.is_operator,
            csrf_token=csrf_token,
            expires_at=expires_at,
        )


class LoginCodeRead(Read):
    """A code that opens one session, once."""

    code: str
    expires_at: datetime
    path: str = Field(description="Path of the login link, to append to the address of this API.")
