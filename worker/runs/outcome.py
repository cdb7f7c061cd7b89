"""Outcome: what the end of a run means for its job."""

import signal
from dataclasses import dataclass

from emomodel.protocol.progress import EXIT_OK, EXIT_STOPPED, Failure, Result
from worker.runs.supervisor import Ending, StopReason

# Failures that the current state of the GPU or the machine may explain: another attempt may succeed.
TRANSIENT_CODES = frozenset({"cuda_error", "disk_full", "host_out_of_memory"})
CUDA_OUT_OF_MEMORY = "cuda_out_of_memory"

_WHY_INTERRUPTED = {
    StopReason.PREEMPT: "Its slot was needed",
    StopReason.DRAIN: "Its worker was asked to leave",
    StopReason.PAUSE: "It was paused",
}


@dataclass(frozen=True)
class Succeeded:
    result: Result


@dataclass(frozen=True)
class Failed:
    """Another attempt would end the same way."""

    code: str
    message: str


@dataclass(frozen=True)
class Crashed:
    """The process died, or failed for a reason that may pass: another attempt may succeed."""

    code: str
    message: str


@dataclass(frozen=True)
class TooLarge:
    """The GPU's memory was full, and the config allows starting again with smaller batches."""

    message: str


@dataclass(frozen=True)
class Cancelled:
    pass


@dataclass(frozen=True)
class Interrupted:
    """The process was asked to end; the job continues elsewhere or later, or is paused."""

    why: str


@dataclass(frozen=True)
class Lost:
    """The job continues without this run, which must not change anything of it."""


Outcome = Succeeded | Failed | Crashed | TooLarge | Cancelled | Interrupted | Lost


def decide_outcome(ending: Ending, *, was_out_of_memory: bool, can_halve_batch: bool) -> Outcome:
    """Decide the outcome. A run that completed before it saw a stop has succeeded; a stop explains most other ends."""
    if ending.stop_reason is StopReason.LOST:
        return Lost()
    if isinstance(ending.last_line, Result) and ending.exit_code == EXIT_OK:
        return Succeeded(ending.last_line)
    if ending.stop_reason is StopReason.CANCEL:
        return Cancelled()
    if ending.stop_reason is StopReason.TIMEOUT:
        return Failed(
            "timeout", "The job has exceeded its time limit. Give it more (timeout_seconds), or fewer epochs."
        )
    if ending.stop_reason is StopReason.SILENCE:
        return Crashed("trainer_stalled", "The training process did not report anything for too long and was ended.")
    if ending.stop_reason is not None:
        return Interrupted(_WHY_INTERRUPTED[ending.stop_reason])
    if isinstance(ending.last_line, Failure):
        return _judge_failure(ending.last_line, can_halve_batch=can_halve_batch)
    if ending.exit_code == EXIT_STOPPED:
        # SIGTERM from outside, which a machine sends to all of its processes when it shuts down.
        return Interrupted("Its training process was asked to stop from outside")
    return _explain_crash(ending.exit_code, was_out_of_memory)


def _judge_failure(failure: Failure, *, can_halve_batch: bool) -> Outcome:
    # PostgreSQL's texts can't hold null characters.
    code, message = failure.code.replace("\x00", ""), failure.message.replace("\x00", "")
    if code == CUDA_OUT_OF_MEMORY and can_halve_batch:
        return TooLarge(message)
    return Crashed(code, message) if code in TRANSIENT_CODES else Failed(code, message)


def _explain_crash(exit_code: int, was_out_of_memory: bool) -> Crashed:
    if exit_code == -signal.SIGKILL and was_out_of_memory:
        return Crashed(
            "host_out_of_memory",
            "The machine ran out of memory and its kernel ended the training process (SIGKILL). "
            "Lower batch_size or max_length, or give the slot more memory.",
        )
    if exit_code < 0:
        name = _name_signal(-exit_code)
        return Crashed("trainer_killed", f"The training process was killed by {name}, which the worker had not sent.")
    if exit_code == EXIT_OK:
        return Crashed("trainer_crashed", "The training process ended without a result.")
    return Crashed("trainer_crashed", f"The training process ended with exit code {exit_code}; see its log.")


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
