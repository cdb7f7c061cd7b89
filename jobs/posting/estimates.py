"""What a job will take, before it is posted: tokens, steps, memory, time, and when it will start.

Time is derived from similar jobs that have run here, if there are any; otherwise from the size of the model and a
conservative guess about the device. Estimates are no guarantees: each finished job reports the error of its estimate.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from emomodel.sizing.memory import DatasetStats, Estimate, estimate
from emomodel.sizing.model_shape import ModelShape
from emomodel.sizing.steps import count_batches, count_steps
from jobs.clock import utc_now
from jobs.ids import new_id
from jobs.models import Job, Run, Slot
from jobs.posting.job_request import JobInputs, JobRequest
from jobs.posting.memory import measure_needs
from jobs.queue import usage
from jobs.queue.board import draw_board
from jobs.queue.forecast import WaitingJob
from jobs.queue.rules import QueueRules
from jobs.settings import Device
from jobs.status import JobStatus

# How many of the similar jobs that ended last are used.
_SAMPLE_SIZE = 20
# Operations per second of a training when nothing similar has run here, at 4 per parameter and token. Low values for
# each kind of device (measured: 0.35e12 on two CPU cores, 2e14 to 3.7e14 on an H200 with large batches).
_FLOPS: dict[Device, float] = {"cpu": 0.3e12, "cuda": 1e14}
_FLOPS_PER_PARAMETER_AND_TOKEN = 4
# Minimum time for a step, however small.
_STEP_SECONDS: dict[Device, float] = {"cpu": 0.1, "cuda": 0.03}
# Time for loading, compiling, saving and packing, where no similar job has shown it.
_OVERHEAD_SECONDS: dict[Device, float] = {"cpu": 30.0, "cuda": 60.0}
# The config fields that affect the speed of a training most.
_SPEED_FIELDS = (
    "batch_size",
    "batching",
    "backend",
    "acceleration",
    "load_in_4bit",
    "gradient_checkpointing",
    "dtype",
    "lora_rank",
)

SpeedSource = Literal["like_jobs", "same_base_model", "arithmetic"]


@dataclass(frozen=True)
class WorkEstimate:
    """The memory (bytes), time (seconds) and tokens that a job will take on one kind of device."""

    device: Device
    example_count: int
    token_count: int
    step_count: int
    memory: dict[str, int] | None
    """Bytes by purpose; None where the sizes of the base model are not known."""
    peak_memory_bytes: int | None
    train_seconds: float
    total_seconds: float
    speed_source: SpeedSource

    def to_record(self) -> dict[str, Any]:
        """The fields that are stored with the job and compared with the result."""
        kept = ("device", "token_count", "step_count", "peak_memory_bytes", "train_seconds", "speed_source")
        return {name: value for name, value in asdict(self).items() if name in kept}


@dataclass(frozen=True)
class JobEstimate:
    """What a job will take, and when it will start."""

    work: WorkEstimate
    queue_position: int | None
    """None when the quotas of its team allow it no turn."""
    starts_at: datetime | None
    """None when it has no turn, or no open slot could run it."""

    @property
    def ends_at(self) -> datetime | None:
        return self.starts_at + timedelta(seconds=self.work.total_seconds) if self.starts_at else None


@dataclass(frozen=True)
class _Size:
    example_count: int
    token_count: int
    step_count: int


@dataclass(frozen=True)
class _Speed:
    tokens_per_second: float
    overhead_seconds: float
    source: SpeedSource


def estimate_job(
    session: Session,
    *,
    request: JobRequest,
    inputs: JobInputs,
    rules: QueueRules,
) -> JobEstimate:
    """What the job would take if it were posted now. Writes nothing."""
    work = estimate_work(session, request=request, inputs=inputs)
    needs = measure_needs(config=request.config, inputs=inputs)
    newcomer = WaitingJob(
        id=new_id("job"),
        team_id=request.team_id,
        priority_class=request.priority_class,
        priority=request.priority,
        needs_cuda=request.config.needs_cuda,
        cpu_memory_bytes=needs.get("cpu"),
        cuda_memory_bytes=needs.get("cuda"),
        expected_seconds=work.total_seconds,
        advance_seconds=usage.price_job(session, team_id=request.team_id, rules=rules, now=utc_now()),
    )
    board = draw_board(session, rules=rules, newcomer=newcomer)
    place = next(place for place in board.places if place.job is newcomer)
    starts_at = None if place.starts_in is None else board.at + timedelta(seconds=round(place.starts_in))
    return JobEstimate(work=work, queue_position=place.position, starts_at=starts_at)


def estimate_work(session: Session, *, request: JobRequest, inputs: JobInputs) -> WorkEstimate:
    """What the training takes on the device that would run it: CUDA where it is needed or a slot has it, else CPU."""
    config, shape = request.config, inputs.shape
    device = _choose_device(session, config)
    stats = DatasetStats.of_report(inputs.dataset.report)
    size = _size_up(config, stats, inputs.dataset.example_count)
    memory = estimate(config, shape, stats, device) if shape else None
    speed = _find_speed(session, request.base_model, config, device, shape)
    train_seconds = max(size.token_count / speed.tokens_per_second, size.step_count * _STEP_SECONDS[device])
    return WorkEstimate(
        device=device,
        example_count=size.example_count,
        token_count=size.token_count,
        step_count=size.step_count,
        memory=memory.parts if memory else None,
        peak_memory_bytes=_get_peak(memory, device),
        train_seconds=round(train_seconds, 1),
        total_seconds=round(train_seconds + speed.overhead_seconds, 1),
        speed_source=speed.source,
    )


def describe_error(record: Mapping[str, Any] | None, *, train_seconds: float, peak_memory_bytes: int) -> str:
    """The error of an estimate as a sentence; empty when there was no estimate."""
    if not record:
        return ""
    expected = float(record["train_seconds"])
    text = f" {expected:.0f} s were estimated ({_compare(expected, train_seconds)})"
    if record.get("peak_memory_bytes"):
        memory = float(record["peak_memory_bytes"])
        text += f", and {memory / 2**30:.1f} GiB of memory ({_compare(memory, peak_memory_bytes)})"
    return text + "."


def _size_up(config: TrainConfig, stats: DatasetStats, available_count: int) -> _Size:
    """How many examples, tokens and optimizer steps the config makes of a dataset with `available_count` examples."""
    example_count = min(available_count, config.sample_limit or available_count)
    batches = count_batches(
        max(round(example_count * (1 - config.eval_fraction)), 1),
        batch_size=config.batch_size,
        gradient_accumulation=config.gradient_accumulation,
        epochs=config.epochs,
        max_steps=config.max_steps,
    )
    tokens_each = min(stats.average_tokens or config.max_length, config.max_length)
    token_count = min(batches * config.batch_size, round(example_count * config.epochs) or 1) * tokens_each
    return _Size(example_count, token_count, count_steps(batches, config.gradient_accumulation))


def _compare(expected: float, found: float) -> str:
    return f"{(expected / max(found, 1e-9) - 1) * 100:+.0f} %"


def _get_peak(memory: Estimate | None, device: Device) -> int | None:
    """The peak memory in bytes as the training process will report it: for a GPU, only what PyTorch allocates."""
    if memory is None:
        return None
    return memory.peak_bytes if device == "cuda" else memory.total_bytes


def _choose_device(session: Session, config: TrainConfig) -> Device:
    has_cuda = session.scalar(select(Slot.name).where(Slot.device == "cuda").limit(1)) is not None
    return "cuda" if config.needs_cuda or has_cuda else "cpu"


def _find_speed(
    session: Session, base_model: str, config: TrainConfig, device: Device, shape: ModelShape | None
) -> _Speed:
    statement = (
        select(Job.config, Job.result, Run.started_at, Run.ended_at)
        .join(Run, (Run.job_id == Job.id) & (Run.attempt == Job.attempt))
        .join(Slot, Slot.name == Run.slot)
        .where(Job.status == JobStatus.SUCCEEDED, Job.base_model == base_model, Slot.device == device)
        .order_by(Job.finished_at.desc())
        .limit(10 * _SAMPLE_SIZE)
    )
    rows = [row for row in session.execute(statement) if row.result and row.result["train_seconds"] > 0]
    wanted = config.model_dump(mode="json")
    like = [row for row in rows if all(row.config.get(name) == wanted[name] for name in _SPEED_FIELDS)]
    if like:
        return _average(like[:_SAMPLE_SIZE], "like_jobs")
    if rows:
        return _average(rows[:_SAMPLE_SIZE], "same_base_model")
    parameters = shape.used_count if shape else 1_000_000_000
    tokens_per_second = _FLOPS[device] / (_FLOPS_PER_PARAMETER_AND_TOKEN * parameters)
    return _Speed(tokens_per_second, _OVERHEAD_SECONDS[device], "arithmetic")


def _average(rows: Sequence[Any], source: SpeedSource) -> _Speed:
    overheads = [
        max((row.ended_at - row.started_at).total_seconds() - row.result["train_seconds"], 0.0) for row in rows
    ]
    # The average over all tokens, so that a short job, which mostly starts up, hardly counts.
    tokens_per_second = sum(row.result["token_count"] for row in rows) / sum(
        row.result["train_seconds"] for row in rows
    )
    return _Speed(tokens_per_second, statistics.median(overheads), source)
