"""What an installation consists of: its slots, and the migrations of its database."""

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.clock import utc_now
from jobs.models.base import Base


class Slot(Base):
    """One GPU (or the CPU) that runs one job at a time, and when its worker was last seen."""

    __tablename__ = "slot"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))
    # Memory of the GPU, or of the machine for a CPU slot; null where it isn't known.
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # Weight of a second on it in a team's usage, relative to the other slots.
    size: Mapped[float] = mapped_column(default=1.0)
    boot_id: Mapped[str | None] = mapped_column(String(64))
    # State of the GPU at its worker's last heartbeat; null for a CPU slot.
    gpu_name: Mapped[str | None] = mapped_column(String(100))
    gpu_uuid: Mapped[str | None] = mapped_column(String(64))
    memory_used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    temperature_celsius: Mapped[float | None]
    utilization_percent: Mapped[float | None]
    power_watts: Mapped[float | None]
    # Why its worker takes no jobs now, in words: memory held by another process, a full disk.
    blocked_reason: Mapped[str | None] = mapped_column(Text)
    # Since when the operator allows no new jobs on it; a running job continues.
    drained_at: Mapped[datetime | None]
    # Release of its worker; null for workers of early releases, which don't report it.
    emotune_version: Mapped[str | None] = mapped_column(String(40))
    seen_at: Mapped[datetime]


class SchemaRevision(Base):
    """A migration that was applied to the database.

    Older releases read this table, so it can't change (jobs/database/schema.py).
    """

    __tablename__ = "schema_revision"

    revision: Mapped[str] = mapped_column(String(32), primary_key=True)
    # The oldest revision whose code works with the schema of this one; null where every code does.
    oldest_code: Mapped[str | None] = mapped_column(String(32))
    # The release that applied it.
    emotune_version: Mapped[str] = mapped_column(String(40))
    applied_at: Mapped[datetime] = mapped_column(default=utc_now)
