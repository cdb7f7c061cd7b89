"""Wire models: what goes in and out of the HTTP API as JSON."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from api import examples
from emomodel.config import PRESETS, EmotionSpan, Preset, TrainConfig
from emomodel.preview import PreviewExample
from emomodel.token_report import TokenReport
from jobs.base_models import BaseModel as ListedBaseModel
from jobs.estimates import JobEstimate
from jobs.failure_codes import find_advice
from jobs.metrics import MetricPoint
from jobs.models import Artifact, Dataset, Event, Job, Run
from jobs.priorities import PriorityClass
from jobs.reasons import WaitCode, WaitReason
from jobs.slots import SlotStatus, SlotView
from jobs.status import JobStatus, RunCause, StopKind
from jobs.teams import Caller

MAX_NAME_LENGTH = 200
MAX_PRIORITY = 100
# A year: what is longer is a slip.
MAX_TIMEOUT_SECONDS = 366 * 24 * 3600

# Names are shown to people and kept in databases that take no zero byte: no control characters.
NAME_PATTERN = r"^[^\x00-\x1f\x7f]*$"
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LENGTH, pattern=NAME_PATTERN),
]


def _take_whole(value: object) -> object:
    """JSON knows one kind of number, so 2.0 is a whole one; true is none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Priority = Annotated[int, Field(strict=True, ge=-MAX_PRIORITY, le=MAX_PRIORITY), BeforeValidator(_take_whole)]

Item = TypeVar("Item")


class _Read(BaseModel):
    """What goes out; frozen, as an answer is a fact of its moment."""

    model_config = ConfigDict(frozen=True)


class Page(_Read, Generic[Item]):
    """Some items, newest first. `next_cursor` is handed back as `cursor`; null at the end."""

    items: list[Item]
    next_cursor: str | None


class Items(_Read, Generic[Item]):
    """All items."""

    items: list[Item]


class Feed(_Read, Generic[Item]):
    """Items in the order in which they came. `next_cursor` is handed back as `after`, now or when there may be more."""

    items: list[Item]
    next_cursor: str | None


class FieldProblem(_Read):
    """One thing wrong with a request."""

    field: str | None = Field(None, description="Dotted path of the field, such as `config.lora_rank`.")
    message: str


class ErrorInfo(_Read):
    """What went wrong, and what to do."""

    code: str = Field(description="Stable word for programs.")
    message: str = Field(description="A sentence for people, with advice.")
    field: str | None = Field(None, description="What part of the request it is about: a dotted path.")
    details: list[FieldProblem] | None = Field(
        None, description="All that is wrong with the request, when there is more than the one above."
    )


class ErrorBody(_Read):
    """The one shape of every error."""

    error: ErrorInfo
    report: dict[str, Any] | None = Field(
        None, description="Of a dataset with bad lines: the report, each problem with its line and a fix."
    )


class DatasetRead(_Read):
    """An uploaded, validated, immutable file."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.DATASET]})

    id: str
    name: str
    size_bytes: int
    sha256: str
    axes: list[str]
    example_count: int
    created_at: datetime
    report: dict[str, Any] | None = Field(
        description="What the dataset holds and what could be better in it; null in lists."
    )

    @classmethod
    def of(cls, dataset: Dataset, *, with_report: bool = True) -> "DatasetRead":
        return cls(
            id=dataset.id,
            name=dataset.name,
            size_bytes=dataset.size_bytes,
            sha256=dataset.sha256,
            axes=dataset.axes,
            example_count=dataset.example_count,
            created_at=dataset.created_at,
            report=dataset.report if with_report else None,
        )


class JobCreate(BaseModel):
    """What to train, on what, and how."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [examples.JOB_REQUEST]})

    dataset_id: str = Field(pattern=r"^ds_[0-9a-z]{26}$", description="From `POST /datasets`.")
    validation_dataset_id: str | None = Field(
        None,
        pattern=r"^ds_[0-9a-z]{26}$",
        description="A dataset to measure the loss on, in place of a share of the first (`eval_fraction`).",
    )
    base_model: str = Field(min_length=1, max_length=200, description="A name from `GET /models`.")
    # Before `config`, which is laid over it.
    preset: Preset = Field(
        "default",
        description="What `config` starts from: `default`, a good recipe, or `original`, the project that emotune grew "
        "from, kept for comparison.",
    )
    config: TrainConfig = Field(
        default_factory=TrainConfig,
        validate_default=True,
        description="Only what shall differ from the preset. The defaults shown here are those of `default`.",
    )
    name: Name | None = Field(None, description="For people; default: the dataset's name.")
    priority: Priority = Field(0, description="Higher goes first, among the jobs of your own team and class.")
    priority_class: PriorityClass = Field(
        PriorityClass.NORMAL,
        description="Jobs of a higher class go first, whatever the teams have used, and may take the slot of one of a "
        "lower class. `low` may wait and be interrupted; `urgent` needs the operator's leave.",
    )
    timeout_seconds: float | None = Field(
        None,
        gt=0,
        le=MAX_TIMEOUT_SECONDS,
        description="The job fails when all its runs together have taken so long; default: it may take any time.",
    )

    @field_validator("config", mode="before")
    @classmethod
    def _lay_over_preset(cls, value: object, info: ValidationInfo) -> object:
        """The preset with what was given on top, still to be validated, so that errors name the caller's own fields."""
        preset = info.data.get("preset")
        if preset is None:
            # It was refused; what else is wrong shall be told along with that.
            return value
        given = value.model_dump(exclude_unset=True) if isinstance(value, TrainConfig) else value
        return PRESETS[preset] | given if isinstance(given, dict) else given


class JobUpdate(BaseModel):
    """What of a job may be changed after it was posted. What is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    priority: Priority | None = Field(None, description="Only while the job has not ended.")


class JobDataset(_Read):
    """The dataset that a job was made with. It may have been deleted since."""

    id: str
    name: str
    sha256: str

    @classmethod
    def of_validation(cls, job: Job) -> "JobDataset | None":
        """What the job's loss is measured on, where that is a dataset of its own."""
        if job.validation_dataset_id is None:
            return None
        return cls(
            id=job.validation_dataset_id,
            name=job.validation_dataset_name or "",
            sha256=job.validation_dataset_sha256 or "",
        )


class JobDatasetRead(JobDataset):
    """The dataset of a job, with its statistics."""

    report: dict[str, Any] | None = Field(description="As `GET /datasets/{dataset_id}` has it; null for older jobs.")

    @classmethod
    def of(cls, job: Job) -> "JobDatasetRead":
        return cls(id=job.dataset_id, name=job.dataset_name, sha256=job.dataset_sha256, report=job.dataset_report)


class JobEstimateRead(_Read):
    """What a job would take. Times are no promise: `speed_source` says what they come from."""

    device: str = Field(description="`cuda` where such a slot is known or needed, else `cpu`.")
    example_count: int
    token_count: int = Field(description="Of the whole training, without padding, from the dataset's characters.")
    step_count: int
    memory: dict[str, int] | None = Field(
        description="Bytes at the peak by what they are for (docs/memory.md); null where the model's sizes are unknown."
    )
    peak_memory_bytes: int | None
    fits: bool | None = Field(description="Whether some slot has the memory; null where that isn't known.")
    advice: str | None = Field(description="Where it doesn't fit: what would.")
    train_seconds: float
    total_seconds: float = Field(description="With loading, compiling and saving.")
    speed_source: str = Field(
        description="`like_jobs`: jobs with the same base model and settings that ran here; `same_base_model`; "
        "`arithmetic`: nothing like it has run here, so this may be far off."
    )
    queue_position: int | None = Field(description="Null where your team's quotas would give it no turn.")
    starts_at: datetime | None = Field(description="Null where it has no turn, or no open slot could run it.")
    ends_at: datetime | None

    @classmethod
    def of(cls, found: JobEstimate, *, lack: str | None) -> "JobEstimateRead":
        work = found.work
        return cls(
            device=work.device,
            example_count=work.example_count,
            token_count=work.token_count,
            step_count=work.step_count,
            memory=work.memory,
            peak_memory_bytes=work.peak_memory_bytes,
            fits=None if work.memory is None else lack is None,
            advice=lack,
            train_seconds=work.train_seconds,
            total_seconds=work.total_seconds,
            speed_source=work.speed_source,
            queue_position=found.queue_position,
            starts_at=found.starts_at,
            ends_at=found.ends_at,
        )


class WaitReasonRead(_Read):
    """Why a job waits."""

    code: WaitCode = Field(description="Stable word for programs.")
    message: str = Field(description="For people.")

    @classmethod
    def of(cls, reason: WaitReason) -> "WaitReasonRead":
        return cls(code=reason.code, message=reason.message)


class JobError(_Read):
    """Why a job failed."""

    code: str = Field(description="A word from docs/errors.md.")
    message: str = Field(description="What happened.")
    advice: str | None = Field(description="What to change.")
    log: list[str] = Field(description="The last lines that the training process wrote to its log.")

    @classmethod
    def find(cls, code: str | None, message: str | None, log: list[str] | None = None) -> "JobError | None":
        """None where there is no code."""
        if code is None:
            return None
        return cls(code=code, message=message or "", advice=find_advice(code), log=log or [])


class Checkpoint(_Read):
    """What a job would go on from."""

    step: int
    saved_at: datetime


class RunRead(_Read):
    """One attempt at a job."""

    attempt: int
    slot: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None = Field(description="The job's status after it; null while it runs.")
    cause: RunCause | None = Field(
        description="Why the job went on after it: `crash` counts towards the limit, `interruption` does not."
    )
    error: JobError | None
    exit_code: int | None = Field(description="Of the training process; negative for a signal.")
    resumed_step: int | None = Field(description="The step of the checkpoint that it went on from; null for none.")
    peak_gpu_bytes: int | None
    peak_host_bytes: int | None

    @classmethod
    def of(cls, run: Run) -> "RunRead":
        return cls(
            attempt=run.attempt,
            slot=run.slot,
            started_at=run.started_at,
            ended_at=run.ended_at,
            outcome=run.outcome,
            cause=run.cause,
            error=JobError.find(run.error_code, run.error_message),
            exit_code=run.exit_code,
            resumed_step=run.resumed_step,
            peak_gpu_bytes=run.peak_gpu_bytes,
            peak_host_bytes=run.peak_host_bytes,
        )


class JobRead(_Read):
    """A requested fine-tune and how far it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.JOB]})

    id: str
    name: str
    status: JobStatus
    priority: int
    priority_class: PriorityClass
    timeout_seconds: float | None
    base_model: str
    dataset: JobDataset
    validation_dataset: JobDataset | None
    config: dict[str, Any] = Field(description="The whole TrainConfig, defaults filled in, frozen at creation.")
    attempt: int = Field(description="How many times a worker took the job; 0 before the first.")
    phase: str | None = Field(description="What the run is busy with.")
    step: int = Field(description="Optimizer updates done in this attempt.")
    total_steps: int | None
    last_loss: float | None
    tokens_per_second: float | None
    queue_position: int | None = Field(
        description="1 for the job that is next; only while it is queued, and only when the job is read by itself. "
        "Null also while it has no turn: `queue_reason` says why."
    )
    queue_reason: WaitReasonRead | None = Field(description="Why it waits; wherever `queue_position` may be.")
    eta_seconds: float | None
    error: JobError | None
    estimate: dict[str, Any] | None = Field(description="What it was expected to take when it was posted.")
    result: dict[str, Any] | None = Field(
        description="What it took: seconds, steps, tokens, memory; once it succeeded."
    )
    stop_requested: bool = Field(description="Whether the run was asked to stop and has not confirmed yet.")
    stop_kind: StopKind | None = Field(description="What it was asked to stop for.")
    checkpoint: Checkpoint | None = Field(description="The newest one; null before the first.")
    checkpoint_requested: bool = Field(description="Whether the run was asked to save and has not yet.")
    batch_split: int = Field(description="2 when it goes on with half the batch_size, after want of GPU memory.")
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


class MetricRead(_Read):
    """Numbers at a step, those of jobs.metrics.SampledMetric. One that was not finite is null."""

    cursor: str
    attempt: int
    step: int
    total_steps: int
    epoch: float
    loss: float | None
    lora_learning_rate: float | None
    emotion_learning_rate: float | None
    grad_norm: float | None
    tokens_per_second: float | None
    token_count: int
    elapsed_seconds: float
    eta_seconds: float | None
    memory_bytes: int
    eval_loss: float | None = Field(None, description="On what is held out, where it was measured at this step.")
    eval_neutral_loss: float | None = Field(None, description="The same with every emotion left out.")
    gpu_utilization_percent: float | None = Field(
        None, description="Of the slot's GPU a few seconds before, like the three that follow; null on a CPU slot."
    )
    gpu_memory_used_bytes: int | None = Field(None, description="By all who use the GPU.")
    gpu_temperature_celsius: float | None = None
    gpu_power_watts: float | None = None

    @classmethod
    def of(cls, point: MetricPoint) -> "MetricRead":
        return cls(cursor=str(point.cursor), attempt=point.cursor.attempt, **point.values)


class EventRead(_Read):
    """A dated, readable fact about a job."""

    cursor: str
    attempt: int
    at: datetime
    kind: str
    message: str

    @classmethod
    def of(cls, event: Event) -> "EventRead":
        return cls(cursor=str(event.id), attempt=event.attempt, at=event.at, kind=event.kind, message=event.message)


class ArtifactRead(_Read):
    """A stored output of a job, to be had at `GET /jobs/{job_id}/artifacts/{kind}`."""

    kind: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime

    @classmethod
    def of(cls, artifact: Artifact) -> "ArtifactRead":
        return cls(
            kind=artifact.kind,
            filename=artifact.filename,
            media_type=artifact.media_type,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            created_at=artifact.created_at,
        )


class BaseModelRead(_Read):
    """A base model that jobs may name."""

    name: str
    is_available: bool = Field(description="False when the operator listed it and its files are not there.")
    size_bytes: int | None = Field(description="Of its weights, where they are local.")

    @classmethod
    def of(cls, model: ListedBaseModel) -> "BaseModelRead":
        return cls(name=model.name, is_available=model.is_available, size_bytes=model.size_bytes)


def may_see(caller: Caller, job: Job) -> bool:
    """Whether a list that is for everybody may name the job to this caller."""
    return caller.is_operator or job.team_id == caller.team_id


class SlotJobRead(_Read):
    """The job that runs on a slot."""

    id: str
    name: str


class SlotRead(_Read):
    """One GPU (or the CPU) that runs one job at a time."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.SLOT]})

    name: str
    host: str
    device: str = Field(description="`cpu` or `cuda`.")
    status: SlotStatus = Field(
        description="`idle`, `running`, `blocked` (its worker takes no job now: see `blocked_reason`), `drained` (the "
        "operator wants no new jobs there) or `away` (its worker was not heard of lately)."
    )
    blocked_reason: str | None = Field(description="As it was when the worker was last heard of.")
    job: SlotJobRead | None = Field(description="What runs there, for its own team and the operator; else null.")
    size: float = Field(description="What a second on it counts in a team's usage, relative to the other slots.")
    memory_bytes: int | None = Field(description="Of the GPU, or of the machine for a CPU.")
    memory_used_bytes: int | None = Field(description="Of the GPU, like all that follows but the dates; else null.")
    gpu_name: str | None
    gpu_uuid: str | None
    utilization_percent: float | None
    temperature_celsius: float | None
    power_watts: float | None
    drained_at: datetime | None = Field(description="Since when the operator wants no new jobs there.")
    seen_at: datetime = Field(description="When its worker was last heard of.")

    @classmethod
    def of(cls, view: SlotView, *, caller: Caller) -> "SlotRead":
        slot, job = view.slot, view.job
        return cls(
            name=slot.name,
            host=slot.host,
            device=slot.device,
            status=view.status,
            blocked_reason=slot.blocked_reason,
            job=SlotJobRead(id=job.id, name=job.name) if job and may_see(caller, job) else None,
            size=slot.size,
            memory_bytes=slot.memory_bytes,
            memory_used_bytes=slot.memory_used_bytes,
            gpu_name=slot.gpu_name,
            gpu_uuid=slot.gpu_uuid,
            utilization_percent=slot.utilization_percent,
            temperature_celsius=slot.temperature_celsius,
            power_watts=slot.power_watts,
            drained_at=slot.drained_at,
            seen_at=slot.seen_at,
        )


class CheckRead(_Read):
    """One thing that the service needs."""

    ok: bool
    message: str


class Liveness(_Read):
    """The process answers."""

    status: str = "alive"


class Readiness(_Read):
    """Whether a job that is posted now will be stored and run; `error` names what fails."""

    PARTS: ClassVar[tuple[str, ...]] = ("database", "redis", "worker", "disk")

    status: str
    checks: dict[str, CheckRead]
    error: ErrorInfo | None = None


class StatisticsRead(_Read):
    """What a dataset is to a base model, in the model's tokens."""

    dataset_id: str
    base_model: str
    tokenizer_sha256: str = Field(description="Of the base model's tokenizer files, which all numbers depend on.")
    statistics: TokenReport


class StatisticsPending(_Read):
    """The statistics of a large dataset are being computed."""

    status: Literal["computing"] = "computing"
    message: str


class PreviewRead(_Read):
    """Examples as a training will take them, in the file's order."""

    dataset_id: str
    base_model: str
    axes: list[str] = Field(description="What the numbers of each `emotion` stand for.")
    max_length: int
    emotion_span: EmotionSpan
    items: list[PreviewExample]
    next_offset: int | None = Field(description="To be handed back as `offset`; null at the end.")
