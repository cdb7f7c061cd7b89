"""Life: simulates the workers of a staged installation. It calls the same verbs as they do, and trains nothing."""

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from emomodel.protocol.progress import RESUMED, Checkpoint, Notice, Phase, Plan
from jobs.database.engine import Database
from jobs.errors import RunFenced
from jobs.files.storage import Storage
from jobs.models import Job, Metric, Slot
from jobs.queue.rules import QueueRules
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.runs.metrics import Cursor, MetricStream, SampledMetric, make_redis
from jobs.settings import MIB, Settings
from jobs.status import JobStatus, StopKind
from tests.browser.staged.curves import Course
from tests.browser.staged.files import write_outputs
from tests.browser.staged.rows import LEASE_SECONDS, make_course, make_result
from tests.browser.staged.slots import note_living_slots
from tests.browser.staged.stories import ALL_STORIES, Story
from worker.runs.news import describe_phase, describe_plan

TICK_SECONDS = 1.0
CHECKPOINT_BYTES = 214 * MIB
# The number of ticks between two heartbeats of the slots whose worker is alive.
SLOT_TICKS = 5

log = structlog.get_logger()


@dataclass
class _Pulse:
    """An attempt of a running job, and its progress."""

    job_id: str
    attempt: int
    course: Course
    story: Story
    step: int
    seq: int
    first_step: int
    loading: int = 0

    @property
    def who(self) -> dict[str, Any]:
        return {"job_id": self.job_id, "attempt": self.attempt}


class Life:
    """A context manager: a thread advances running jobs by a step per tick, stops them on request, starts others."""

    def __init__(self, settings: Settings, *, seed: int = 0, tick_seconds: float = TICK_SECONDS) -> None:
        self._settings = settings
        self._seed = seed
        self._tick_seconds = tick_seconds
        self._database = Database(settings.sqlalchemy_url)
        self._storage = Storage(settings.data_dir)
        self._redis = make_redis(settings)
        self._stream = MetricStream(
            self._redis, length=settings.metric_stream_length, expire_seconds=settings.metric_stream_seconds
        )
        self._pulses: dict[str, _Pulse] = {}
        self._tick_count = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._live, name="life", daemon=True)

    def __enter__(self) -> Self:
        self.tick()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._redis.close()
        self._database.close()

    def _live(self) -> None:
        while not self._closing.wait(self._tick_seconds):
            try:
                self.tick()
            except Exception:
                log.exception("life_stumbled")

    def tick(self) -> None:
        """Advance every running job by one phase or step."""
        with self._database.write() as session:
            if self._tick_count % SLOT_TICKS == 0:
                note_living_slots(session)
            self._claim(session)
            running = session.scalars(select(Job).where(Job.status == JobStatus.RUNNING)).all()
            made = [point for job in running if (point := self._move(session, job)) is not None]
        for job_id, cursor, metric in made:
            self._stream.publish(job_id, cursor, metric)
        self._tick_count += 1

    def _claim(self, session: Session) -> None:
        for slot in session.scalars(select(Slot).order_by(Slot.name)).all():
            if slot.device == "cuda" and slot.name.startswith("atlas"):
                claims.claim_next(
                    session,
                    slot=slot.name,
                    device="cuda",
                    lease_seconds=LEASE_SECONDS,
                    rules=QueueRules.of(self._settings),
                )

    def _move(self, session: Session, job: Job) -> tuple[str, Cursor, SampledMetric] | None:
        pulse = self._pulses.get(job.id)
        if pulse is None or pulse.attempt != job.attempt:
            pulse = self._pulses[job.id] = self._find_pulse(session, job)
        try:
            beat = claims.heartbeat(session, job_id=job.id, attempt=job.attempt, lease_seconds=LEASE_SECONDS)
            if beat.stop is not None and job.stop_kind is not None:
                self._stop(session, pulse, beat.stop)
                return None
            if job.phase != "training":
                self._load(session, pulse)
                return None
            if beat.checkpoint_requested_at is not None:
                self._save(session, pulse, "request")
            return self._step(session, job, pulse)
        except RunFenced:
            return None

    def _find_pulse(self, session: Session, job: Job) -> _Pulse:
        """Make the pulse of a job that the staging left running, or of one that was just claimed."""
        known = next((story for story in ALL_STORIES if story.name == job.name), None)
        story = known or Story(job.name, JobStatus.QUEUED, hours_ago=0, total_steps=240, step_seconds=1.0)
        chance = random.Random(f"{self._seed} {job.name}")
        # rows.py draws the bytes of the job's id first.
        chance.randbytes(10)
        report = job.dataset_report or {}
        steps_per_epoch = max(int(report.get("example_count", 240)) // int(job.config["batch_size"]), 1)
        course = make_course(story, chance.randrange(10**6), steps_per_epoch)
        latest = session.scalar(
            select(func.max(Metric.seq)).where(Metric.job_id == job.id, Metric.attempt == job.attempt)
        )
        step = job.step if latest else (job.checkpoint_step or 0)
        return _Pulse(job.id, job.attempt, course, story, step, latest or 0, first_step=step - (latest or 0) + 1)

    def _load(self, session: Session, pulse: _Pulse) -> None:
        """Report the next phase of loading; each tick reports one."""
        pulse.loading += 1
        phases: Sequence[Phase] = (
            Phase(name="importing"),
            Phase(name="loading_dataset"),
            Phase(name="loading_model"),
            Phase(name="training"),
        )
        phase = phases[pulse.loading - 1]
        if phase.name == "training":
            plan = Plan(
                total_steps=pulse.course.total_steps,
                example_count=480,
                truncated_count=0,
                target_token_count=18_212,
                trainable_parameter_count=26_181_888,
                device="cuda",
            )
            claims.record_plan(session, total_steps=plan.total_steps, message=describe_plan(plan), **pulse.who)
            if pulse.step:
                message = f"The training resumes from the checkpoint of step {pulse.step}."
                claims.record_notice(
                    session, notice=Notice(code=RESUMED, message=message, step=pulse.step), **pulse.who
                )
        claims.record_phase(session, phase=phase.name, message=describe_phase(phase), **pulse.who)

    def _step(self, session: Session, job: Job, pulse: _Pulse) -> tuple[str, Cursor, SampledMetric] | None:
        if pulse.step >= pulse.course.total_steps:
            self._succeed(session, job, pulse)
            return None
        pulse.step += 1
        pulse.seq += 1
        metric = pulse.course.make_metric(pulse.step, since_start=pulse.step - pulse.first_step + 1)
        claims.record_metrics(session, job_id=pulse.job_id, attempt=pulse.attempt, metrics=[(pulse.seq, metric)])
        if pulse.step % int(job.config["checkpoint_every"]) == 0:
            self._save(session, pulse, "schedule")
        return pulse.job_id, Cursor(pulse.attempt, pulse.seq), metric

    def _save(self, session: Session, pulse: _Pulse, reason: str) -> None:
        checkpoint = Checkpoint.model_validate(
            {"step": pulse.step, "path": "none", "size_bytes": CHECKPOINT_BYTES, "seconds": 0.4, "reason": reason}
        )
        claims.record_checkpoint(session, job_id=pulse.job_id, attempt=pulse.attempt, checkpoint=checkpoint)

    def _stop(self, session: Session, pulse: _Pulse, stop: StopKind) -> None:
        if stop is StopKind.CANCEL:
            run_ends.confirm_cancel(session, end=RunEnd(exit_code=3), **pulse.who)
            return
        if pulse.step:
            self._save(session, pulse, "stop")
        # If a pause was requested, the job becomes paused.
        run_ends.interrupt(session, end=RunEnd(exit_code=3), message="The run has stopped", **pulse.who)

    def _succeed(self, session: Session, job: Job, pulse: _Pulse) -> None:
        rows = session.scalars(select(Metric).where(Metric.job_id == job.id).order_by(Metric.attempt, Metric.seq))
        metrics = [SampledMetric.model_validate(row.values) for row in rows]
        message = f"{pulse.course.total_steps} steps; last loss {metrics[-1].loss:.4f}."
        run_ends.succeed(
            session,
            job_id=pulse.job_id,
            attempt=pulse.attempt,
            end=RunEnd(exit_code=0),
            artifacts=[],
            message=message,
            result=make_result(pulse.story, metrics),
        )
        session.refresh(job)
        write_outputs(session, self._storage, job, pulse.story, metrics, is_light=True)
