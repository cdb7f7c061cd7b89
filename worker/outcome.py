"""Outcome: what a run's end means for its job."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from emomodel.progress import EXIT_OK, Failure, Result
from worker.supervisor import Ending, StopReason


@dataclass(frozen=True)
class Succeeded:
    result: Result


@dataclass(frozen=True)
class Failed:
    code: str
    message: str
    exit_code: int | None = None


@dataclass(frozen=True)
class Cancelled:
    exit_code: int


@dataclass(frozen=True)
class Interrupted:
    """The worker leaves; the job goes on elsewhere or later."""

    exit_code: int


@dataclass(frozen=True)
class Lost:
    """The job goes on without this run: nothing of it may be touched."""


Outcome = Succeeded | Failed | Cancelled | Interrupted | Lost


def decide_outcome(ending: Ending, *, last_lines: Sequence[str], was_out_of_memory: bool) -> Outcome:
    """A run that was complete before it saw a stop has succeeded; a stop explains every other end."""
    if ending.stop_reason is StopReason.LOST:
        return Lost()
    if isinstance(ending.last_line, Result) and ending.exit_code == EXIT_OK:
        return Succeeded(ending.last_line)
    if ending.stop_reason is StopReason.CANCEL:
        return Cancelled(ending.exit_code)
    if ending.stop_reason is StopReason.DRAIN:
        return Interrupted(ending.exit_code)
    if isinstance(ending.last_line, Failure):
        return Failed(_clean(ending.last_line.code), _clean(ending.last_line.message), ending.exit_code)
    return _explain_crash(ending.exit_code, last_lines, was_out_of_memory)


def _explain_crash(exit_code: int, last_lines: Sequence[str], was_out_of_memory: bool) -> Failed:
    if exit_code == -signal.SIGKILL and was_out_of_memory:
        code = "host_out_of_memory"
        reason = (
            "The machine ran out of memory and its kernel ended the training process (SIGKILL). "
            "Lower batch_size or max_length, or give the slot more memory"
        )
    elif exit_code < 0:
        code = "trainer_killed"
        reason = f"The training process was killed by {_name_signal(-exit_code)}, which the worker had not sent"
    elif exit_code == EXIT_OK:
        code = "trainer_crashed"
        reason = "The training process ended without a result"
    else:
        code = "trainer_crashed"
        reason = f"The training process ended with exit code {exit_code}"
    if not last_lines:
        return Failed(code, f"{reason}. It had written nothing to its log.", exit_code)
    return Failed(code, "\n".join([f"{reason}. The last lines of its log:", *last_lines]), exit_code)


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _clean(text: str) -> str:
    """PostgreSQL's texts hold no null character."""
    return text.replace("\x00", "")
