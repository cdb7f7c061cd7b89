"""Wire models of jobs: what to train, its progress, and what it took."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from api.schemas import examples
from api.schemas.base import Name, Read
from api.schemas.queue import WaitReasonRead
from api.schemas.runs import JobError
from emomodel.config import PRESETS, Preset, TrainConfig
from jobs.models import Job
from jobs.priorities import PriorityClass
from jobs.queue.reasons import WaitReason
from jobs.status import JobStatus, StopKind

MAX_PRIORITY = 100
# A year: a longer time is a mistake.
MAX_TIMEOUT_SECONDS = 366 * 24 * 3600


def _take_whole(value: object) -> object:
    """Take 2.0 as 2, as JSON has one kind of number; `true` is not a number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Priority = Annotated[int, Field(strict=True, ge=-MAX_PRIORITY, le=MAX_PRIORITY), BeforeValidator(_take_whole)]


class JobCreate(BaseModel):
    """What to train, on what, and how."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [examples.JOB_REQUEST]})

    dataset_id: str = Field(pattern=r"^ds_[0-9a-z]{26}$", description="From `POST /datasets`.")
    validation_dataset_id: str | None = Field(
        None,
        pattern=r"^ds_[0-9a-z]{26}$",
        description="A dataset to measure the loss on, in place of a part of the first (`eval_fraction`).",
    )
    base_model: str = Field(min_length=1, max_length=200, description="A name from `GET /models`.")
    # Before `config`, which is laid over it.
    preset: Preset = Field(
        "default",
        description="What `config` starts from: `default`, the recommended settings, or `original`, those of the "
        "project that emotune grew from, kept for comparison.",
    )
    config: TrainConfig = Field(
        default_factory=TrainConfig,
        validate_default=True,
        description="Only the fields that differ from the preset. The defaults shown here are those of `default`.",
    )
    name: Name | None = Field(None, description="For people; default: the dataset's name.")
    priority: Priority = Field(0, description="Higher starts first, among the jobs of your own team in the same class.")
    priority_class: PriorityClass = Field(
        PriorityClass.NORMAL,
        description="Jobs of a higher class start first, regardless of the teams' usage, and may preempt a job of a "
        "lower class. `low` may wait and be interrupted; `urgent` needs the operator's permission.",
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_TIMEOUT_SECONDS,
        description="The job fails when its runs together have taken so long; default: the operator's limit, if any.",
    )

    @field_validator("config", mode="before")
    @classmethod
    def _lay_over_preset(cls, value: object, info: ValidationInfo) -> object:
        """Lay the given fields over the preset before validation, so that errors name the caller's own fields."""
        preset = info.data.get("preset")
        if preset is None:
            # The preset was refused; other problems are reported along with it.
            return value
        given = value.model_dump(exclude_unset=True) if isinstance(value, TrainConfig) else value
        return PRESETS[preset] | given if isinstance(given, dict) else given


class JobUpdate(BaseModel):
    """Changes to a job that was posted. A field that is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    priority: Priority | None = Field(None, description="Only while the job has not ended.")


class JobDataset(Read):
    """The dataset that a job was created with. It may have been deleted since."""

    id: str
    name: str
    sha256: str

    @classmethod
    def of_validation(cls, job: Job) -> "JobDataset | None":
        """Return the job's validation dataset, or None where it has none."""
        if job.validation_dataset_id is None:
            return None
        return cls(
            id=job.validation_dataset_id,
            name=job.validation_dataset_name or "",
            sha256=job.validation_dataset_sha256 or "",
        )


class JobDatasetRead(JobDataset):
    """The dataset of a job, with its statistics."""

    report: dict[str, Any] | None = Field(
        description="The report of `GET /datasets/{dataset_id}`; null for older jobs."
    )

    @classmethod
    def of(cls, job: Job) -> "JobDatasetRead":
        return cls(id=job.dataset_id, name=job.dataset_name, sha256=job.dataset_sha256, report=job.dataset_report)


class Checkpoint(Read):
    """The checkpoint that a job would resume from."""

    step: int
    saved_at: datetime


class JobRead(Read):
    """A requested fine-tune and its progress."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.JOB]})

    id: str
    name: str
    posted_by: str | None = Field(description="The name of the API key that posted it; null for older jobs.")
    status: JobStatus
    priority: int
    priority_class: PriorityClass
    timeout_seconds: float | None
    base_model: str
    dataset: JobDataset
    validation_dataset: JobDataset | None
    config: dict[str, Any] = Field(description="The complete TrainConfig with its defaults, frozen at creation.")
    attempt: int = Field(description="How many times a worker started the job; 0 before the first.")
    phase: str | None = Field(description="What the run is doing.")
    step: int = Field(description="Optimizer updates done in this attempt.")
    total_steps: int | None
    last_loss: float | None
    tokens_per_second: float | None
    queue_position: int | None = Field(
        description="1 for the job that is next; only for a queued job, and only when the job is read by itself. "
        "Null also while it is not eligible to start: `queue_reason` says why."
    )
    queue_reason: WaitReasonRead | None = Field(description="Why it waits; in the same answers as `queue_position`.")
    eta_seconds: float | None
    error: JobError | None
    estimate: dict[str, Any] | None = Field(description="What it was expected to take, as of when it was posted.")
    result: dict[str, Any] | None = Field(
        description="What it took, once it has succeeded: seconds, steps, tokens, memory."
    )
    stop_requested: bool = Field(description="Whether the run was asked to stop and has not confirmed yet.")
    stop_kind: StopKind | None = Field(description="Why it was asked to stop.")
    checkpoint: Checkpoint | None = Field(description="The newest checkpoint; null before the first.")
    checkpoint_requested: bool = Field(description="Whether a checkpoint was requested and is not saved yet.")
    batch_split: int = Field(
        description="2 when the job was started again with half the batch_size, as the GPU ran out of memory."
    )
    peak_gpu_bytes: int | None = Field(description="The most GPU memory that any of its runs took.")
    peak_host_bytes: int | None = Field(description="The most memory that any of its training processes took.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job, *, queue_position: int | None = None, queue_reason: WaitReason | None = None) -> "JobRead":
        return cls(
            id=job.id,
            name=job.name,
            posted_by=job.posted_by,
            status=job.status,
            priority=job.priority,
            priority_class=job.priority_class,
            timeout_seconds=job.timeout_seconds,
            base_model=job.base_model,
            dataset=JobDataset(id=job.dataset_id, name=job.dataset_name, sha256=job.dataset_sha256),
            validation_dataset=JobDataset.of_validation(job),
            config=job.config,
            attempt=job.attempt,
            phase=job.phase,
            step=job.step,
            total_steps=job.total_steps,
            last_loss=job.last_loss,
            tokens_per_second=job.tokens_per_second,
            queue_position=queue_position,
            queue_reason=WaitReasonRead.of(queue_reason) if queue_reason else None,
            eta_seconds=job.eta_seconds,
            error=JobError.find(job.error_code, job.error_message, job.error_log),
            estimate=job.estimate,
            result=job.result,
            stop_requested=job.stop_requested_at is not None,
            stop_kind=job.stop_kind,
            checkpoint=Checkpoint(step=job.checkpoint_step, saved_at=job.checkpoint_at)
            if job.checkpoint_step is not None and job.checkpoint_at is not None
            else None,
            checkpoint_requested=job.checkpoint_requested_at is not None,
            batch_split=job.batch_split,
            peak_gpu_bytes=job.peak_gpu_bytes,
            peak_host_bytes=job.peak_host_bytes,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )
