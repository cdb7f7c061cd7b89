"""Supervises one training process: relays its lines, stops it on request, ends its group, reports how it ended."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import partial

import structlog

from emomodel.protocol.progress import (
    CHECKPOINT_REQUEST,
    SAVE_AND_STOP_REQUEST,
    STOP_REQUEST,
    Checkpoint,
    Failure,
    Metric,
    Notice,
    Phase,
    PhaseName,
    Plan,
    Progress,
    Result,
)
from jobs.status import StopKind
from worker.drain import Drain
from worker.runs.recorder import Recorder
from worker.runs.relay import Relay
from worker.trainers.training_process import TrainingProcess

# How long a stop, or the process's end, may remain unnoticed.
POLL_SECONDS = 0.1

log = structlog.get_logger()


class StopReason(Enum):
    """Why the supervisor ended the process. A later member outranks an earlier one."""

    PREEMPT = auto()
    DRAIN = auto()
    PAUSE = auto()
    TIMEOUT = auto()
    CANCEL = auto()
    SILENCE = auto()
    LOST = auto()

    @property
    def request(self) -> str:
        """The request to send to the process: with a checkpoint if the job continues later."""
        saves = self in (StopReason.PREEMPT, StopReason.DRAIN, StopReason.PAUSE)
        return SAVE_AND_STOP_REQUEST if saves else STOP_REQUEST


_REASONS = {
    StopKind.PREEMPT: StopReason.PREEMPT,
    StopKind.PAUSE: StopReason.PAUSE,
    StopKind.CANCEL: StopReason.CANCEL,
}


@dataclass(frozen=True)
class Grace:
    """How long the process has from the request until SIGTERM, and from there until SIGKILL, in seconds."""

    stop_seconds: float
    kill_seconds: float

    def for_reason(self, reason: StopReason) -> "Grace":
        # After a loss another run of the same job may begin at any moment; a silent process won't react to requests.
        return Grace(0.0, 0.0) if reason in (StopReason.LOST, StopReason.SILENCE) else self


@dataclass(frozen=True)
class Limits:
    """How long the process may run, and how long it may be silent, in seconds."""

    run_seconds: float | None
    silence_seconds: float


@dataclass(frozen=True)
class Ending:
    """How a process ended. The exit code is negative for a signal; `was_forced` when the signal came from us."""

    exit_code: int
    stop_reason: StopReason | None
    was_forced: bool
    last_line: Result | Failure | None
    # Of the process itself, as counted by the kernel.
    peak_host_bytes: int | None = None
    # Memory in its last metric: of the GPU where there is one.
    last_memory_bytes: int | None = None


class StopLadder:
    """The three steps of ending a process, each harder than the one before, each used once."""

    def __init__(self, trainer: TrainingProcess, grace: Grace) -> None:
        self._trainer = trainer
        self._grace = grace
        self._steps: list[Callable[[], None]] = []
        self._due_at = 0.0
        self.reason: StopReason | None = None
        self.was_forced = False

    def begin(self, reason: StopReason, now: float) -> None:
        """Start the ladder, or start it again with the request of a reason that outranks the first one."""
        if self.reason is not None and reason.value <= self.reason.value:
            return
        harder = self._steps[-2:] if self.reason is not None else [self._terminate, self._kill]
        self._steps = [partial(self._trainer.ask, reason.request), *harder]
        self._due_at = now
        log.info("trainer_stops", pid=self._trainer.pid, reason=reason.name.lower())
        self.reason = reason

    def climb(self, now: float) -> None:
        """Take the next step if it is due."""
        if self.reason is None or not self._steps or now < self._due_at:
            return
        step = self._steps.pop(0)
        step()
        grace = self._grace.for_reason(self.reason)
        self._due_at = now + (grace.kill_seconds if len(self._steps) == 1 else grace.stop_seconds)

    def _terminate(self) -> None:
        self.was_forced = True
        self._trainer.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        self.was_forced = True
        self._trainer.send_signal(signal.SIGKILL)


def supervise(
    trainer: TrainingProcess,
    *,
    relay: Relay,
    recorder: Recorder,
    drain: Drain,
    grace: Grace,
    limits: Limits,
    on_checkpoint: Callable[[], None],
    on_phase: Callable[[PhaseName], None],
) -> Ending:
    """Supervise a process until it and its group are gone and all its lines are relayed.

    `on_checkpoint` is called after each checkpoint that the process has saved, `on_phase` when it enters a phase.
    """
    ladder = StopLadder(trainer, grace)
    lines = _LineSorter(relay, on_checkpoint, on_phase)
    watch = _Watch(recorder, drain, limits)
    try:
        while not trainer.has_ended:
            progress = trainer.find_progress(POLL_SECONDS)
            lines.take(progress)
            watch.note(progress)
            reason = watch.find_stop_reason()
            if reason is not None:
                ladder.begin(reason, time.monotonic())
            elif watch.wants_checkpoint():
                trainer.ask(CHECKPOINT_REQUEST)
            ladder.climb(time.monotonic())
    finally:
        exit_code = trainer.close()
    while (progress := trainer.find_progress(0)) is not None:
        lines.take(progress)
    return Ending(
        exit_code,
        ladder.reason,
        ladder.was_forced,
        lines.last_line,
        peak_host_bytes=trainer.peak_bytes,
        last_memory_bytes=lines.last_memory_bytes,
    )


class _Watch:
    """What is requested of a process: by its team, the operator, its worker and time limits."""

    def __init__(self, recorder: Recorder, drain: Drain, limits: Limits) -> None:
        self._recorder = recorder
        self._drain = drain
        self._limits = limits
        self._began_at = self._last_line_at = time.monotonic()
        self._asked_at: datetime | None = None

    def note(self, progress: Progress | None) -> None:
        if progress is not None:
            self._last_line_at = time.monotonic()

    def find_stop_reason(self) -> StopReason | None:
        """Return the reason that outranks the others, or None."""
        return max(self._list_reasons(), key=lambda reason: reason.value, default=None)

    def wants_checkpoint(self) -> bool:
        """Whether a checkpoint has been requested; true once for each request."""
        requested_at = self._recorder.checkpoint_requested_at
        is_new = requested_at is not None and requested_at != self._asked_at
        self._asked_at = requested_at
        return is_new

    def _list_reasons(self) -> Iterator[StopReason]:
        now = time.monotonic()
        if self._recorder.is_lost:
            yield StopReason.LOST
        if self._drain.is_requested:
            yield StopReason.DRAIN
        if self._recorder.stop is not None:
            yield _REASONS[self._recorder.stop]
        if self._limits.run_seconds is not None and now - self._began_at > self._limits.run_seconds:
            yield StopReason.TIMEOUT
        if now - self._last_line_at > self._limits.silence_seconds:
            yield StopReason.SILENCE


class _LineSorter:
    """Passes metrics and news on, and keeps the last line, which says how the training ended."""

    def __init__(self, relay: Relay, on_checkpoint: Callable[[], None], on_phase: Callable[[PhaseName], None]) -> None:
        self._relay = relay
        self._on_checkpoint = on_checkpoint
        self._on_phase = on_phase
        self.last_line: Result | Failure | None = None
        self.last_memory_bytes: int | None = None

    def take(self, progress: Progress | None) -> None:
        match progress:
            case Metric():
                self.last_memory_bytes = progress.memory_bytes
                self._relay.hand_on_metric(progress)
            case Checkpoint():
                self._relay.hand_on_news(progress)
                self._on_checkpoint()
            case Phase():
                self._relay.hand_on_news(progress)
                self._on_phase(progress.name)
            case Plan() | Notice():
                self._relay.hand_on_news(progress)
            case Result() | Failure():
                self.last_line = progress
            case None:
                pass
