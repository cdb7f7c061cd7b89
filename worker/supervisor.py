"""See one training process through: relay its lines, stop it when asked, end its group, say how it ended."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import structlog

from emomodel.progress import Failure, Metric, Notice, Phase, Plan, Progress, Result
from worker.drain import Drain
from worker.recorder import Recorder
from worker.relay import Relay
from worker.trainer import Trainer

# How long a stop, or the process's end, may go unseen.
POLL_SECONDS = 0.1

# A worker that is asked to leave has little time: container runtimes kill after ten seconds.
DRAIN_STOP_GRACE_SECONDS = 5.0
DRAIN_KILL_GRACE_SECONDS = 3.0

log = structlog.get_logger()


class StopReason(Enum):
    """Why the supervisor ended the process. A later member outranks an earlier one."""

    CANCEL = auto()
    DRAIN = auto()
    LOST = auto()


@dataclass(frozen=True)
class Grace:
    """How long the process has from being asked until SIGTERM, and from there until SIGKILL, in seconds."""

    stop_seconds: float
    kill_seconds: float

    def for_reason(self, reason: StopReason) -> "Grace":
        if reason is StopReason.CANCEL:
            return self
        if reason is StopReason.DRAIN:
            return Grace(
                min(self.stop_seconds, DRAIN_STOP_GRACE_SECONDS), min(self.kill_seconds, DRAIN_KILL_GRACE_SECONDS)
            )
        # Another run of the same job may begin at any moment.
        return Grace(0.0, 0.0)


@dataclass(frozen=True)
class Ending:
    """How a process ended. The exit code is negative for a signal; `was_forced` when the signal came from us."""

    exit_code: int
    stop_reason: StopReason | None
    was_forced: bool
    last_line: Result | Failure | None


class StopLadder:
    """The three means of ending a process, each harder than the one before, each used once."""

    def __init__(self, trainer: Trainer, grace: Grace) -> None:
        self._trainer = trainer
        self._grace = grace
        self._steps: list[Callable[[], None]] = []
        self._due_at = 0.0
        self.reason: StopReason | None = None
        self.was_forced = False

    def begin(self, reason: StopReason, now: float) -> None:
        """Start, or go on faster for a reason that outranks the first one."""
        if self.reason is None:
            self._steps = [self._trainer.ask_to_stop, self._terminate, self._kill]
            self._due_at = now
        elif reason.value > self.reason.value:
            self._due_at = now
        else:
            return
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


def supervise(trainer: Trainer, *, relay: Relay, recorder: Recorder, drain: Drain, grace: Grace) -> Ending:
    """Returns when the process and its group are gone and all its lines are relayed."""
    ladder = StopLadder(trainer, grace)
    lines = _LineSorter(relay)
    try:
        while not trainer.has_ended:
            lines.take(trainer.find_progress(POLL_SECONDS))
            reason = _find_stop_reason(recorder, drain)
            if reason is not None:
                ladder.begin(reason, time.monotonic())
            ladder.climb(time.monotonic())
    finally:
        exit_code = trainer.close()
    while (progress := trainer.find_progress(0)) is not None:
        lines.take(progress)
    return Ending(exit_code, ladder.reason, ladder.was_forced, lines.last_line)


def _find_stop_reason(recorder: Recorder, drain: Drain) -> StopReason | None:
    if recorder.is_lost:
        return StopReason.LOST
    if drain.is_requested:
        return StopReason.DRAIN
    return StopReason.CANCEL if recorder.stop_requested else None


class _LineSorter:
    """Hands metrics and news on, and keeps the line that says how it went."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.last_line: Result | Failure | None = None

    def take(self, progress: Progress | None) -> None:
        match progress:
            case Metric():
                self._relay.hand_on_metric(progress)
            case Phase() | Plan() | Notice():
                self._relay.hand_on_news(progress)
            case Result() | Failure():
                self.last_line = progress
            case None:
                pass
