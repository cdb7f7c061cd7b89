"""Teams, and their credentials: API keys, browser sessions and login codes."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from jobs.clock import utc_now
from jobs.ids import new_id
from jobs.models.base import Base, PriorityClassColumn
from jobs.priorities import PriorityClass
from jobs.settings import DAY_SECONDS


class Team(Base):
    """An owner of datasets and jobs, with its share of the slots and its quotas."""

    __tablename__ = "team"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("team"))
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # Its share, relative to the weights of the others.
    weight: Mapped[float] = mapped_column(default=1.0)
    # Quotas; null means no limit. `max_slot_seconds` applies within settings.quota_window_seconds.
    max_running: Mapped[int | None]
    max_queued: Mapped[int | None]
    max_slot_seconds: Mapped[float | None]
    max_priority_class: Mapped[PriorityClass] = mapped_column(PriorityClassColumn, default=PriorityClass.NORMAL)
    # Slot seconds of its ended runs, and advances of jobs whose first run has not ended; both decayed to `usage_at`
    # with the stored half-life (jobs/queue/shares.py).
    usage_seconds: Mapped[float] = mapped_column(default=0.0)
    advance_seconds: Mapped[float] = mapped_column(default=0.0)
    usage_at: Mapped[datetime | None]
    usage_half_life_seconds: Mapped[float] = mapped_column(default=DAY_SECONDS)


class ApiKey(Base):
    """A secret that authenticates a team. Only its SHA-256 is stored: 256 random bits need no slow hash."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("key"))
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    # An operator's key may read and control what belongs to other teams.
    is_operator: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    team: Mapped[Team] = relationship(lazy="raise")


class WebSession(Base):
    """A browser that has logged in with an API key. Only the SHA-256 of the cookie's secret is stored."""

    __tablename__ = "web_session"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    api_key_id: Mapped[str] = mapped_column(ForeignKey("api_key.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LoginCode(Base):
    """The code in a login link: valid for one session, and for a short time."""

    __tablename__ = "login_code"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    api_key_id: Mapped[str] = mapped_column(ForeignKey("api_key.id"))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
