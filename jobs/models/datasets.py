"""Datasets, and uploads that may become one."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.clock import utc_now
from jobs.ids import new_id
from jobs.models.base import Base


class Dataset(Base):
    """An uploaded, validated, immutable file."""

    __tablename__ = "dataset"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("ds"))
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    axes: Mapped[list[str]]
    example_count: Mapped[int]
    report: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Upload(Base):
    """A dataset that is sent in parts.

    The stored files show which parts are there, so that no part needs a transaction.
    """

    __tablename__ = "upload"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("up"))
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    axes: Mapped[list[str]]
    mapping: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    # The dataset that it has become. No foreign key: the dataset may be deleted before the upload expires.
    dataset_id: Mapped[str | None] = mapped_column(String(40))
