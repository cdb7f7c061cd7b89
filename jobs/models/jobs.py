"""Jobs: the row that queue, runs and dashboard work with."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from jobs.clock import utc_now
from jobs.ids import new_id
from jobs.models.base import Base, PriorityClassColumn, StatusColumn, StopColumn
from jobs.priorities import PriorityClass
from jobs.status import JobStatus, StopKind


class Job(Base):
    """One requested fine-tune. `attempt` counts its claims and fences the writes of a run that lost its lease."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("team_id", "idempotency_key"),
        # Contains everything that the order of the queue depends on, so that a claim reads only the row that it takes.
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
        # Lets the census count failed jobs without reading their rows.
        Index("ix_job_status_error_code", "status", "error_code"),
        # Enforces one running job per slot.
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
    # The operator's own order: jobs with a rank go before all others, the lowest rank first.
    pinned_rank: Mapped[int | None]
    # Since when the operator holds it: it keeps its place and is not claimed.
    held_at: Mapped[datetime | None]
    hold_reason: Mapped[str | None] = mapped_column(String(200))
    base_model: Mapped[str] = mapped_column(String(200))
    config: Mapped[dict[str, Any]]
    needs_cuda: Mapped[bool] = mapped_column(default=False)
    # Memory that it would take on either kind of device; null where that isn't known.
    cpu_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    cuda_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # How long it is expected to occupy a slot, as estimated when it was posted.
    expected_seconds: Mapped[float | None]
    # Charged to the team when the job is posted, and settled by its first run (jobs/queue/usage.py).
    prepaid_seconds: Mapped[float] = mapped_column(default=0.0)
    # Time limit for all its runs together.
    timeout_seconds: Mapped[float | None]
    # 2 after a run that ran out of GPU memory: batches are then half as large, and twice as many make an update.
    batch_split: Mapped[int] = mapped_column(default=1)
    # No foreign key: the dataset may be deleted after the job's end, and the job still records what it was trained on.
    dataset_id: Mapped[str] = mapped_column(String(40), index=True)
    dataset_name: Mapped[str] = mapped_column(String(200))
    dataset_sha256: Mapped[str] = mapped_column(String(64))
    # The dataset's statistics at its upload; null for jobs of an earlier release.
    dataset_report: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    validation_dataset_id: Mapped[str | None] = mapped_column(String(40), index=True)
    validation_dataset_name: Mapped[str | None] = mapped_column(String(200))
    validation_dataset_sha256: Mapped[str | None] = mapped_column(String(64))
    axes: Mapped[list[str]]
    # The name of the API key that posted it; null for jobs of an earlier release.
    posted_by: Mapped[str | None] = mapped_column(String(100))
    # The span of the request that posted it, as in the W3C `traceparent` header; null without tracing.
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
    # The newest checkpoint that a run has reported; only the files show which checkpoints exist.
    checkpoint_step: Mapped[int | None]
    checkpoint_at: Mapped[datetime | None]

    phase: Mapped[str | None] = mapped_column(String(40))
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int | None]
    last_loss: Mapped[float | None]
    # A short form of all losses (jobs/runs/loss_trace.py).
    loss_trace: Mapped[dict[str, Any] | None] = mapped_column(deferred=True)
    tokens_per_second: Mapped[float | None]
    eta_seconds: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(60))
    error_message: Mapped[str | None] = mapped_column(Text)
    # The last lines that the failed run's process logged.
    error_log: Mapped[list[str] | None]
    # Peak memory of all its runs.
    peak_gpu_bytes: Mapped[int | None] = mapped_column(BigInteger)
    peak_host_bytes: Mapped[int | None] = mapped_column(BigInteger)
    # The estimate made when it was posted (jobs/posting/estimates.py), and the result of the training.
    estimate: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]
