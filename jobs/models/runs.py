"""Runs of jobs, and what they produce: events, metrics, artifacts."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.clock import utc_now
from jobs.models.base import Base, BigIdentity, RunCauseColumn
from jobs.status import RunCause


class Run(Base):
    """One execution of a job by a worker."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_team_id_started_at", "team_id", "started_at"),
        # Contains everything that the census adds up.
        Index("ix_run_census", "team_id", "error_code", "ended_at", "slot_seconds"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"))
    slot: Mapped[str] = mapped_column(String(64))
    # Size of the slot when the run started: the weight of its seconds (jobs/queue/usage.py).
    slot_size: Mapped[float] = mapped_column(default=1.0)
    # How long it was expected to take when it started; and how long it took, times the slot's size, null until its end.
    expected_seconds: Mapped[float] = mapped_column(default=0.0)
    slot_seconds: Mapped[float | None]
    # Identifies the boot of the host: a run of an earlier boot has ended.
    boot_id: Mapped[str | None] = mapped_column(String(64))
    # The step of the checkpoint from which it was resumed.
    resumed_step: Mapped[int | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    # Why the job was queued again after it, if it was: crashes are counted, interruptions are not.
    cause: Mapped[RunCause | None] = mapped_column(RunCauseColumn)
    exit_code: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    peak_gpu_bytes: Mapped[int | None] = mapped_column(BigInteger)
    peak_host_bytes: Mapped[int | None] = mapped_column(BigInteger)


class Event(Base):
    """A dated, readable fact about a job. Its id serves as the cursor for following events."""

    __tablename__ = "event"
    __table_args__ = (Index("ix_event_job_id_id", "job_id", "id"),)

    id: Mapped[int] = mapped_column(BigIdentity, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int]
    at: Mapped[datetime] = mapped_column(default=utc_now)
    kind: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(Text)


class Metric(Base):
    """Numbers at a step; `seq` counts the metrics of one attempt from 1."""

    __tablename__ = "metric"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    values: Mapped[dict[str, Any]]


class Artifact(Base):
    """Any stored output of a job."""

    __tablename__ = "artifact"

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    filename: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # When the file was deleted: the operator may limit how long such files are kept (jobs/runs/retention.py).
    deleted_at: Mapped[datetime | None]
