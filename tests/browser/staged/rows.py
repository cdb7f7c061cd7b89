"""Stories as rows: jobs with their runs, events, metrics and artifacts, as the verbs would have written them."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session
from ulid import ULID

from emomodel.config import make_config
from emomodel.protocol.progress import Phase, Plan, Result
from jobs.files.storage import Storage
from jobs.models import Dataset, Event, Job, Metric, Run, Team
from jobs.posting.job_request import JobRequest
from jobs.queue import usage
from jobs.runs.loss_trace import extend_trace
from jobs.runs.metrics import SampledMetric, get_metric_values
from jobs.status import JobStatus, RunCause
from tests.browser.staged.curves import GIB, Course
from tests.browser.staged.files import write_outputs
from tests.browser.staged.stories import Story
from worker.runs.news import describe_phase, describe_plan

# From the claim to the first step: imports, the dataset, the base model.
LOADING_SECONDS = 24.0
SAVING_SECONDS = 9.0
# A worker renews the lease of its run; in a staged installation life.py does.
LEASE_SECONDS = 60.0

_LOADING: tuple[tuple[Phase, float], ...] = (
    (Phase(name="importing"), 0.5),
    (Phase(name="loading_dataset"), 7.0),
    (Phase(name="loading_model"), 9.0),
)


@dataclass(frozen=True)
class World:
    """What stories are written to, and the teams and datasets that they refer to by name."""

    session: Session
    storage: Storage
    now: datetime
    seed: int
    teams: Mapping[str, Team]
    datasets: Mapping[str, Dataset]


@dataclass
class _Attempt:
    number: int
    first_step: int
    last_step: int
    started_at: datetime
    # None while the attempt runs.
    ended_at: datetime | None
    outcome: JobStatus | None
    cause: RunCause | None
    code: str | None
    message: str


def make_course(story: Story, seed: int, steps_per_epoch: int) -> Course:
    config = make_config("default", story.config)
    return Course(
        seed=seed,
        total_steps=story.total_steps,
        steps_per_epoch=steps_per_epoch,
        step_seconds=story.step_seconds,
        floor=story.floor,
        lora_rate=config.lora_learning_rate,
        emotion_rate=config.emotion_learning_rate,
        memory_gib=story.memory_gib,
        diverges_at=story.last_step - 22 if story.shape == "diverging" else None,
        eval_every=config.eval_every if config.eval_fraction else None,
    )


def make_staged_id(prefix: str, at: datetime, chance: random.Random) -> str:
    """Make an id that contains this time, since lists are ordered by id."""
    milliseconds = int(at.timestamp() * 1000)
    return f"{prefix}_{str(ULID(milliseconds.to_bytes(6, 'big') + chance.randbytes(10))).lower()}"


def add_story(world: World, story: Story) -> Job:
    """Add the job's row, and all rows and files that belong to it."""
    chance = random.Random(f"{world.seed} {story.name}")
    job = _make_job(world, story, chance)
    world.session.add(job)
    world.session.flush()
    course = make_course(story, chance.randrange(10**6), _count_steps_per_epoch(job, world))
    attempts = list(_list_attempts(world, story, job))
    _add_event(world, job, 0, job.created_at, "queued", "The job waits for a slot.")
    metrics: list[SampledMetric] = []
    for attempt in attempts:
        made = list(course.make_metrics(attempt.first_step, attempt.last_step, every=job.config["log_every"]))
        _add_run(world, story, job, attempt)
        _add_metrics(world, job, attempt, made)
        _add_events(world, job, attempt, story)
        metrics += made
    _settle(job, story, attempts, metrics)
    if job.status is JobStatus.CANCELLED and not attempts:
        _add_event(world, job, 0, job.created_at + timedelta(minutes=12), "cancelled", "Cancelled while it waited.")
    if story.hold_reason:
        at = job.created_at + timedelta(minutes=20)
        _add_event(world, job, 0, at, "held", f"The operator holds it: {story.hold_reason}.")
    world.session.flush()
    for attempt in attempts:
        if attempt.ended_at is not None:
            usage.charge_run(world.session, job_id=job.id, attempt=attempt.number, now=attempt.ended_at)
    write_outputs(world.session, world.storage, job, story, metrics, is_light=story.posted_by == "nightly")
    return job


def _make_job(world: World, story: Story, chance: random.Random) -> Job:
    created_at = world.now - timedelta(hours=story.hours_ago)
    dataset = world.datasets[story.dataset]
    config = make_config("default", story.config)
    is_held = story.hold_reason is not None
    request = JobRequest(
        team_id=world.teams[story.team].id,
        base_model=story.base_model,
        dataset_id=dataset.id,
        config=config,
        name=story.name,
        priority=story.priority,
        priority_class=story.priority_class,
    )
    return Job(
        id=make_staged_id("job", created_at, chance),
        team_id=world.teams[story.team].id,
        name=story.name,
        status=story.status,
        posted_by=story.posted_by,
        priority=story.priority,
        priority_class=story.priority_class,
        pinned_rank=story.pinned_rank,
        held_at=created_at + timedelta(minutes=20) if is_held else None,
        hold_reason=story.hold_reason,
        base_model=story.base_model,
        config=config.model_dump(mode="json"),
        cpu_memory_bytes=int(2 * story.needs_gib * GIB),
        cuda_memory_bytes=int(story.needs_gib * GIB),
        expected_seconds=story.total_steps * story.step_seconds * 1.08 + 60,
        dataset_id=dataset.id,
        dataset_name=dataset.name,
        dataset_sha256=dataset.sha256,
        dataset_report=dataset.report,
        axes=dataset.axes,
        request_sha256=request.sha256,
        created_at=created_at,
        attempt=0,
        step=0,
        estimate={
            "device": "cuda",
            "token_count": 2400 * story.total_steps,
            "step_count": story.total_steps,
            "peak_memory_bytes": int(story.memory_gib * 1.06 * GIB),
            "train_seconds": round(story.total_steps * story.step_seconds * 1.08, 1),
            "speed_source": "like_jobs",
        },
    )


def _count_steps_per_epoch(job: Job, world: World) -> int:
    dataset = next(each for each in world.datasets.values() if each.id == job.dataset_id)
    return max(dataset.example_count // int(job.config["batch_size"]), 1)


def _list_attempts(world: World, story: Story, job: Job) -> Iterator[_Attempt]:
    """Yield the interrupted attempts, then the last one, if the job ever ran. That of a running job lasts until now."""
    if story.status is JobStatus.QUEUED or (story.status is JobStatus.CANCELLED and story.last_step == 0):
        return
    started_at = job.created_at + timedelta(minutes=story.waited_minutes)
    done = 0
    for number, each in enumerate(story.breaks, start=1):
        ended_at = started_at + timedelta(seconds=LOADING_SECONDS + (each.step - done) * story.step_seconds)
        resumed_at = each.step - each.step % 50 if each.step > 50 else 0
        yield _Attempt(
            number, done + 1, each.step, started_at, ended_at, JobStatus.QUEUED, each.cause, each.code, each.message
        )
        done = resumed_at
        started_at = ended_at + timedelta(minutes=each.pause_minutes)
    seconds = LOADING_SECONDS + (story.last_step - done) * story.step_seconds
    number = len(story.breaks) + 1
    if story.status is JobStatus.RUNNING:
        started_at = world.now - timedelta(seconds=seconds)
        yield _Attempt(number, done + 1, story.last_step, started_at, None, None, None, None, "")
        return
    ended_at = started_at + timedelta(seconds=seconds + SAVING_SECONDS)
    message, code = _describe_end(story)
    yield _Attempt(number, done + 1, story.last_step, started_at, ended_at, story.status, None, code, message)


def _describe_end(story: Story) -> tuple[str, str | None]:
    match story.status:
        case JobStatus.SUCCEEDED:
            return f"{story.total_steps} steps in {story.total_steps * story.step_seconds:.0f} s.", None
        case JobStatus.PAUSED:
            return "The run has stopped; the job is paused.", None
        case JobStatus.CANCELLED:
            return "The run has stopped.", None
        case _:
            return story.error_message or "", story.error_code


def _add_run(world: World, story: Story, job: Job, attempt: _Attempt) -> None:
    world.session.add(
        Run(
            job_id=job.id,
            attempt=attempt.number,
            team_id=job.team_id,
            slot=story.slot,
            expected_seconds=job.expected_seconds or 0.0,
            resumed_step=attempt.first_step - 1 or None,
            started_at=attempt.started_at,
            ended_at=attempt.ended_at,
            outcome=attempt.outcome.value if attempt.outcome else None,
            cause=attempt.cause,
            exit_code=None if attempt.ended_at is None else _find_exit_code(story, attempt),
            error_code=attempt.code,
            error_message=attempt.message if attempt.code else None,
            peak_gpu_bytes=int(story.memory_gib * GIB) if attempt.ended_at else None,
            peak_host_bytes=int(5.3 * GIB) if attempt.ended_at else None,
        )
    )


def _find_exit_code(story: Story, attempt: _Attempt) -> int:
    if attempt.code == "trainer_killed":
        return -9
    if attempt.outcome is JobStatus.SUCCEEDED:
        return 0
    return 3 if attempt.code is None else (story.exit_code or 1)


def _add_metrics(world: World, job: Job, attempt: _Attempt, metrics: list[SampledMetric]) -> None:
    if not metrics:
        return
    rows = [
        {"job_id": job.id, "attempt": attempt.number, "seq": seq, "values": get_metric_values(metric)}
        for seq, metric in enumerate(metrics, start=1)
    ]
    world.session.flush()
    world.session.execute(insert(Metric), rows)
    losses = ((metric.step, metric.loss) for metric in metrics)
    job.loss_trace = extend_trace(job.loss_trace, losses)


def _add_events(world: World, job: Job, attempt: _Attempt, story: Story) -> None:
    number, at = attempt.number, attempt.started_at
    _add_event(world, job, number, at, "running", f"Attempt {number} starts on {story.slot}.")
    for phase, seconds in _LOADING:
        _add_event(world, job, number, at + timedelta(seconds=seconds), "phase", describe_phase(phase))
    began_at = at + timedelta(seconds=LOADING_SECONDS)
    if attempt.last_step >= attempt.first_step:
        plan = _make_plan(job, story)
        _add_event(world, job, number, began_at - timedelta(seconds=1), "plan", describe_plan(plan))
        if attempt.first_step > 1:
            message = f"The training resumes from the checkpoint of step {attempt.first_step - 1}."
            _add_event(world, job, number, began_at, "notice", message)
        _add_event(world, job, number, began_at, "phase", describe_phase(Phase(name="training")))
    if attempt.ended_at is None:
        return
    if attempt.outcome is JobStatus.SUCCEEDED:
        saving_at = attempt.ended_at - timedelta(seconds=SAVING_SECONDS)
        _add_event(world, job, number, saving_at, "phase", describe_phase(Phase(name="saving")))
    if attempt.outcome is JobStatus.PAUSED:
        _add_event(world, job, number, attempt.ended_at, "checkpoint", f"Step {attempt.last_step} was saved: 214 MiB.")
    kind = "requeued" if attempt.outcome is JobStatus.QUEUED else str(attempt.outcome)
    _add_event(world, job, number, attempt.ended_at, kind, attempt.message)


def _make_plan(job: Job, story: Story) -> Plan:
    return Plan(
        total_steps=story.total_steps,
        example_count=int((job.dataset_report or {}).get("example_count", 0)),
        truncated_count=3,
        target_token_count=18_212,
        trainable_parameter_count=26_181_888,
        device="cuda",
    )


def _add_event(world: World, job: Job, attempt: int, at: datetime, kind: str, message: str) -> None:
    world.session.add(Event(job_id=job.id, attempt=attempt, at=at, kind=kind, message=message))


def _settle(job: Job, story: Story, attempts: list[_Attempt], metrics: list[SampledMetric]) -> None:
    """Set what the job's row shows after its attempts."""
    if not attempts:
        if job.status is JobStatus.CANCELLED:
            job.finished_at = job.created_at + timedelta(minutes=12)
        return
    last = attempts[-1]
    job.attempt, job.started_at = last.number, attempts[0].started_at
    if metrics:
        job.step, job.total_steps, job.last_loss = story.last_step, story.total_steps, metrics[-1].loss
    _settle_checkpoint(job, story, last)
    if last.ended_at is None:
        job.slot, job.phase, job.heartbeat_at = story.slot, "training", last.started_at
        job.tokens_per_second, job.eta_seconds = metrics[-1].tokens_per_second, metrics[-1].eta_seconds
        return
    job.peak_gpu_bytes, job.peak_host_bytes = int(story.memory_gib * GIB), int(5.3 * GIB)
    if job.status.is_final:
        job.finished_at = last.ended_at
    if job.status is JobStatus.FAILED:
        job.error_code, job.error_message = story.error_code, story.error_message
        job.error_log = list(story.error_log)
    if job.status is JobStatus.SUCCEEDED:
        job.result = make_result(story, metrics)


def _settle_checkpoint(job: Job, story: Story, last: _Attempt) -> None:
    every = int(job.config["checkpoint_every"])
    step = story.last_step if job.status is JobStatus.PAUSED else story.last_step - story.last_step % every
    if step:
        job.checkpoint_step = step
        job.checkpoint_at = last.started_at + timedelta(
            seconds=LOADING_SECONDS + (step - last.first_step + 1) * story.step_seconds
        )


def make_result(story: Story, metrics: list[SampledMetric]) -> dict[str, Any]:
    result = Result(
        final_loss=metrics[-1].loss,
        step_count=story.total_steps,
        token_count=metrics[-1].token_count,
        train_seconds=round(story.total_steps * story.step_seconds, 1),
        peak_memory_bytes=int(story.memory_gib * GIB),
        peak_gpu_bytes=int(story.memory_gib * GIB),
        peak_host_bytes=int(5.3 * GIB),
    )
    return result.model_dump(exclude={"type"})
