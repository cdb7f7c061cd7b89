"""Gives a run its training process: the slot's spare if there is one, or else a new one."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from worker.trainers.spare_keeper import IMPORT_SECONDS
from worker.trainers.spares import NO_SPARES, Spares
from worker.trainers.training_process import OutputLog, TrainingProcess

# A process that waits for its request answers within milliseconds, unless it is suspended or has no memory.
ANSWER_SECONDS = 5.0
# How long a stop, or the end of the process, may remain unnoticed while the answer is awaited.
POLL_SECONDS = 0.1

log = structlog.get_logger()


@dataclass(frozen=True)
class Trainers:
    """Where training processes come from: `argv` starts one, and the path of its request follows."""

    argv: Sequence[str]
    spares: Spares = NO_SPARES
    answer_seconds: float = ANSWER_SECONDS


def start_trainer(
    trainers: Trainers,
    request_path: Path,
    *,
    environment: Mapping[str, str],
    run_log: OutputLog,
    is_stopping: Callable[[], bool],
) -> TrainingProcess:
    """Start the training that a request describes, in the request's folder. Raises OSError.

    `is_stopping` says whether the run has been asked to end.
    """
    spare = trainers.spares.take(environment)
    if spare is not None and _hand_over(spare, request_path, run_log, is_stopping, trainers.answer_seconds):
        return spare
    argv = [*trainers.argv, str(request_path)]
    return TrainingProcess(argv, folder=request_path.parent, environment=environment, run_log=run_log)


def _hand_over(
    spare: TrainingProcess,
    request_path: Path,
    run_log: OutputLog,
    is_stopping: Callable[[], bool],
    answer_seconds: float,
) -> bool:
    """Give a spare its request; if it doesn't take it, end it and return False. Then no training has begun."""
    was_ready = spare.is_ready
    try:
        spare.hand_over(request_path, run_log)
        has_taken = _wait_for_answer(spare, is_stopping, answer_seconds if was_ready else IMPORT_SECONDS)
    except BaseException:
        spare.close()
        raise
    if has_taken:
        log.info("spare_taken", pid=spare.pid, was_ready=was_ready)
        return True
    log.warning("spare_not_taken", pid=spare.pid, exit_code=spare.close(), advice="a new process is started")
    return False


def _wait_for_answer(spare: TrainingProcess, is_stopping: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not spare.has_answered(POLL_SECONDS):
        if spare.has_ended:
            return spare.has_answered_before_its_end()
        if is_stopping():
            # The supervisor stops the process, by force if it doesn't react.
            return True
        if time.monotonic() > deadline:
            return False
    return True
