"""The tables: Team, ApiKey, WebSession, LoginCode, Dataset, Upload, Job, Run, Event, Metric, Artifact, Slot,
SchemaRevision.
"""

from datetime import UTC, datetime
from enum import StrEnum
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
from jobs.priorities import PriorityClass
from jobs.settings import DAY_SECONDS
from jobs.status import JobStatus, RunCause, StopKind

# SQLite numbers rows by itself only in an INTEGER column; elsewhere ids outgrow 32 bits.
BigIdentity = BigInteger().with_variant(Integer, "sqlite")


def _make_word_column(words: type[StrEnum]) -> Enum:
    """A plain string in the database: a new word then needs no new database type."""
    return Enum(words, native_enum=False, length=20, values_callable=lambda enum: [item.value for item in enum])


StatusColumn = _make_word_column(JobStatus)
StopColumn = _make_word_column(StopKind)
PriorityClassColumn = _make_word_column(PriorityClass)
RunCauseColumn = _make_word_column(RunCause)


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
    """Who owns datasets and jobs, what share of the slots it has a right to, and what it may take at most."""

    __tablename__ = "team"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("team"))
    name: Mapped[str] = mapped_column(String(100), unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # Its share, relative to the weights of the others.
    weight: Mapped[float] = mapped_column(default=1.0)
    # Quotas; null is no bound. `max_slot_seconds` is within settings.quota_window_seconds.
    max_running: Mapped[int | None]
    max_queued: Mapped[int | None]
    max_slot_seconds: Mapped[float | None]
    max_priority_class: Mapped[PriorityClass] = mapped_column(PriorityClassColumn, default=PriorityClass.NORMAL)
    # Slot seconds of its ended runs, and what jobs have paid in advance whose first run has not ended; both decayed to
    # `usage_at`, by the half-life that they are kept with (jobs/shares.py).
    usage_seconds: Mapped[float] = mapped_column(default=0.0)
    advance_seconds: Mapped[float] = mapped_column(default=0.0)
    usage_at: Mapped[datetime | None]
    usage_half_life_seconds: Mapped[float] = mapped_column(default=DAY_SECONDS)


class ApiKey(Base):
    """A secret that speaks for a team. Only its sha256 is kept: 256 random bits need no slow hash."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("key"))
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(20))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    # An operator's key may see and steer what belongs to other teams.
    is_operator: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    team: Mapped[Team] = relationship(lazy="raise")


class WebSession(Base):
    """A browser that has logged in with a key. Only the sha256 of the cookie's secret is kept."""

    __tablename__ = "web_session"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    api_key_id: Mapped[str] = mapped_column(ForeignKey("api_key.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class LoginCode(Base):
    """What a login link carries: good for one session, and not for long."""

    __tablename__ = "login_code"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    api_key_id: Mapped[str] = mapped_column(ForeignKey("api_key.id"))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


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
        # Holds all that the order of the queue depends on, so that a claim reads no row but the one that it takes.
        Index(
            "ix_job_queue",
            "status",
            "priority_class",
            "team_id",
            "priority",
            "id",
            "created_at",
            "held_at",
            "pinned_rank",
            "needs_cuda",
            "cpu_memory_bytes",
            "cuda_memory_bytes",
            "expected_seconds",
            "prepaid_seconds",
        ),
        Index("ix_job_team_id_id", "team_id", "id"),
        Index("ix_job_team_id_status", "team_id", "status"),
        # For the census, which counts all failed jobs without reading their rows.
        Index("ix_job_status_error_code", "status", "error_code"),
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
    priority_class: Mapped[PriorityClass] = mapped_column(PriorityClassColumn, default=PriorityClass.NORMAL)
    priority: Mapped[int] = mapped_column(default=0)
    # The operator's own order: such jobs go before all others, the lowest first.
    pinned_rank: Mapped[int | None]
    # Held by the operator: it keeps its place and is not claimed.
    held_at: Mapped[datetime | None]
    hold_reason: Mapped[str | None] = mapped_column(String(200))
    base_model: Mapped[str] = mapped_column(String(200))
    config: Mapped[dict[str, Any]]
    needs_cuda: Mapped[bool] = mapped_column(default=False)
    # What it would take on either kind of device; null where that isn't known.
    cpu_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    cuda_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # How long it was expected to hold a slot when it was posted.
    expected_seconds: Mapped[float | None]
    # Charged to the team at the submission, and settled by the first run (jobs/usage.py).
    prepaid_seconds: Mapped[float] = mapped_column(default=0.0)
    # All its runs together may take so long.
    timeout_seconds: Mapped[float | None]
    # 2 after a run that was out of GPU memory: batches are then half as large, and as many more of them make an update.
    batch_split: Mapped[int] = mapped_column(default=1)
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
    # The name that its API key had; none for jobs of an earlier release.
    posted_by: Mapped[str | None] = mapped_column(String(100))
    # The span of the request that posted it, as W3C's header says it; none where nobody traces.
    traceparent: Mapped[str | None] = mapped_column(String(55))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    request_sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    attempt: Mapped[int] = mapped_column(default=0)
    slot: Mapped[str | None] = mapped_column(String(64))
    heartbeat_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None]
    stop_kind: Mapped[StopKind | None] = mapped_column(StopColumn)
    stop_requested_at: Mapped[datetime | None]
    checkpoint_requested_at: Mapped[datetime | None]
    # The newest checkpoint that a run has told of; the files tell what there really is.
    checkpoint_step: Mapped[int | None]
    checkpoint_at: Mapped[datetime | None]

    phase: Mapped[str | None] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int | None]
    last_loss: Mapped[float | None]
    # All losses in short (jobs/loss_trace.py).
    loss_trace: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    tokens_per_second: Mapped[float | None]
    eta_seconds: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    # The last lines that the failed run's process logged.
    error_log: Mapped[list[str] | None]
    # The most that any of its runs took.
    peak_gpu_bytes: Mapped[int | None] = mapped_column(BigInteger)
    peak_host_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # What it was expected to take when it was posted (jobs/estimates.py), and what it took.
    estimate: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]


class Run(Base):
    """One execution of a job by a worker."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_team_id_started_at", "team_id", "started_at"),
        # Holds all that the census adds up.
        Index("ix_run_census", "team_id", "error_code", "ended_at", "slot_seconds"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    attempt: Mapped[int] = mapped_column(primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("team.id"))
    slot: Mapped[str] = mapped_column(String(64))
    # Of the slot when the run began: what its seconds count (jobs/usage.py).
    slot_size: Mapped[float] = mapped_column(default=1.0)
    # How long it was expected to take when it began, and what it took, times the slot's size; null until its end.
    expected_seconds: Mapped[float] = mapped_column(default=0.0)
    slot_seconds: Mapped[float | None]
    # Of the host's boot: a run of an earlier one is over.
    boot_id: Mapped[str | None] = mapped_column(String(64))
    # The step of the checkpoint that it went on from.
    resumed_step: Mapped[int | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    # Why the job goes on after it, where it does: crashes are counted, interruptions are not.
    cause: Mapped[RunCause | None] = mapped_column(RunCauseColumn)
    exit_code: Mapped[int | None]
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    peak_gpu_bytes: Mapped[int | None] = mapped_column(BigInteger)
    peak_host_bytes: Mapped[int | None] = mapped_column(BigInteger)


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
    # The file is gone since: the operator keeps such files for a time only (jobs/retention.py).
    deleted_at: Mapped[datetime | None]


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
    """A migration that the database has had. Older releases read this: it stays as it is (jobs/schema.py)."""

    __tablename__ = "schema_revision"

    revision: Mapped[str] = mapped_column(String(32), primary_key=True)
    # The oldest revision whose code works with what this one makes; none where all of it does.
    oldest_code: Mapped[str | None] = mapped_column(String(32))
    # The release that ran it.
    emotune_version: Mapped[str] = mapped_column(String(40))
    applied_at: Mapped[datetime] = mapped_column(default=utc_now)
