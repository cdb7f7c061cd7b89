"""What an installation consists of: its slots, and the migrations of its database."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.clock import utc_now
from jobs.models.base import Base


class Slot(Base):
    """One GPU (or the CPU) that runs one job at a time, and when its worker was last heard of."""

    __tablename__ = "slot"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))
    # Of the GPU, or of the machine for a CPU; null where it isn't known.
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # What a second on it counts in a team's usage, relative to the other slots.
    size: Mapped[float] = mapped_column(default=1.0)
    boot_id: Mapped[str | None] = mapped_column(String(64))
    # Of the GPU, at its worker's last sign of life; null for a CPU slot.
    gpu_name: Mapped[str | None] = mapped_column(String(100))
    gpu_uuid: Mapped[str | None] = mapped_column(String(64))
    memory_used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    temperature_celsius: Mapped[float | None]
    utilization_percent: Mapped[float | None]
    power_watts: Mapped[float | None]
    # Why its worker takes no job now, in words: memory that somebody else holds, a full disk.
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    # The operator wants no new jobs on it; the one that runs there goes on.
    drained_at: Mapped[datetime | None]
    # Of its worker; none for workers of releases that didn't tell.
    emotune_version: Mapped[str | None] = mapped_column(String(40))
    seen_at: Mapped[datetime]


class SchemaRevision(Base):
    """A migration that the database has had. Older releases read this: it stays as it is (jobs/database/schema.py)."""

    __tablename__ = "schema_revision"

    revision: Mapped[str] = mapped_column(String(32), primary_key=True)
    # The oldest revision whose code works with what this one makes; none where all of it does.
    oldest_code: Mapped[str | None] = mapped_column(String(32))
    # The release that ran it.
    emotune_version: Mapped[str] = mapped_column(String(40))
    applied_at: Mapped[datetime] = mapped_column(default=utc_now)
