"""The tables: Team, ApiKey, Dataset, Upload, Job, Run, Event, Metric, Artifact, Slot."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.schema import MetaData
from sqlalchemy.types import TypeDecorator

from jobs.clock import utc_now
from jobs.ids import new_id
from jobs.status import JobStatus

# SQLite numbers rows by itself only in an INTEGER column; elsewhere ids outgrow 32 bits.
BigIdentity = BigInteger().with_variant(Integer, "sqlite")


# A plain string in the database: a new status then needs no new database type.
StatusColumn = Enum(JobStatus, native_enum=False, length=20, values_callable=lambda enum: [item.value for item in enum])


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python; SQLite, which knows no zones, holds it without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the framework names it
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}


class Team(Base):
    """Who owns datasets and jobs."""

    __tablename__ = "team"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("team"))
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class ApiKey(Base):
    """A secret that speaks for a team. Only its sha256 is kept: 256 random bits need no slow hash."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("key"))
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    team: Mapped[Team] = relationship(lazy="raise")


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
    """A dataset that comes in parts. Which are there is told by the files, so that no part needs a transaction."""

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
    # What it has become. No foreign key: the dataset may be deleted before the upload expires.
    dataset_id: Mapped[str | None] = mapped_column(String(40))


class Job(Base):
    """One requested fine-tune. `attempt` counts its claims and fences the writes of a run that lost its lease."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("team_id", "idempotency_key"),
        Index("ix_job_queue", "status", "team_id", "priority", "id"),
        Index("ix_job_team_id_id", "team_id", "id"),
        # The last word on "one job at a time per slot".
        Index(
            "uq_job_running_slot",
            "slot",
            unique=True,
            sqlite_where=text("status = 'running'"),
            postgresql_where=text("status = 'running'"),
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("job"))
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"))
    name: Mapped[str] = mapped_column(String(200))
    status: Mapped[JobStatus] = mapped_column(StatusColumn, default=JobStatus.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)
    base_model: Mapped[str] = mapped_column(String(200))
    config: Mapped[dict[str, Any]]
    needs_cuda: Mapped[bool] = mapped_column(default=False)
    # No foreign key: the dataset may be deleted after the job's end, and the job keeps what it was trained on.
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    dataset_name: Mapped[str] = mapped_column(String(200))
    dataset_sha256: Mapped[str] = mapped_column(String(64))
    # Its statistics as they were at the upload; none for jobs of an earlier release.
    dataset_report: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    validation_dataset_id: Mapped[str | None] = mapped_column(String(40), index=True)
    validation_dataset_name: Mapped[str | None] = mapped_column(String(200))
    validation_dataset_sha256: Mapped[str | None] = mapped_column(String(64))
    axes: Mapped[list[str]]
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    attempt: Mapped[int] = mapped_column(default=0)
    slot: Mapped[str | None] = mapped_column(String(64))
    heartbeat_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    stop_requested_at: Mapped[datetime | None]

    phase: Mapped[str | None] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int | None]
    last_loss: Mapped[float | None]
    tokens_per_second: Mapped[float | None]
    eta_seconds: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    # What it was expected to take when it was posted (jobs/estimates.py), and what it took.
    estimate: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]


class Run(Base):
    """One execution of a job by a worker."""

    __tablename__ = "run"
    __table_args__ = (Index("ix_run_team_id_started_at", "team_id", "started_at"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"))
    slot: Mapped[str] = mapped_column(String(64))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    exit_code: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(String(60))


class Event(Base):
    """A dated, readable fact about a job. Its id is the cursor of those who follow."""

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


class Slot(Base):
    """One GPU (or the CPU) that runs one job at a time, and when its worker was last heard of."""

    __tablename__ = "slot"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(20))
    host: Mapped[str] = mapped_column(String(255))
    # Of the GPU, or of the machine for a CPU; null where it isn't known.
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    seen_at: Mapped[datetime]
