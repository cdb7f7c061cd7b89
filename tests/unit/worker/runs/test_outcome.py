"""What the end of a training process means for its job."""

import pytest

from emomodel.protocol.progress import EXIT_FAILED, EXIT_STOPPED, Failure, Result
from worker.runs.outcome import (
    Cancelled,
    Crashed,
    Failed,
    Interrupted,
    Lost,
    Outcome,
    Succeeded,
    TooLarge,
    decide_outcome,
)
from worker.runs.supervisor import Ending, StopReason

RESULT = Result(final_loss=1.0, step_count=1, token_count=1, train_seconds=1.0, peak_memory_bytes=1, peak_host_bytes=1)
FAILURE = Failure(code="no_targets", message="nothing to learn")
SAVING_STOPS = (StopReason.PREEMPT, StopReason.DRAIN, StopReason.PAUSE)


def decide(
    exit_code: int,
    last_line: Result | Failure | None = None,
    reason: StopReason | None = None,
    *,
    was_out_of_memory: bool = False,
    can_halve_batch: bool = False,
) -> Outcome:
    ending = Ending(exit_code, reason, was_forced=False, last_line=last_line)
    return decide_outcome(ending, was_out_of_memory=was_out_of_memory, can_halve_batch=can_halve_batch)


def decide_crashed(exit_code: int, *, was_out_of_memory: bool = False) -> Crashed:
    outcome = decide(exit_code, was_out_of_memory=was_out_of_memory)
    assert isinstance(outcome, Crashed)
    return outcome


@pytest.mark.parametrize("reason", [None, *(reason for reason in StopReason if reason is not StopReason.LOST)])
def test_a_run_that_was_complete_has_succeeded_even_if_a_stop_came_meanwhile(reason: StopReason | None) -> None:
    assert decide(0, RESULT, reason) == Succeeded(RESULT)


def test_a_lost_run_is_lost_even_if_it_was_complete() -> None:
    assert decide(0, RESULT, StopReason.LOST) == Lost()


@pytest.mark.parametrize("exit_code", [EXIT_STOPPED, -15, -9, EXIT_FAILED])
def test_a_stop_explains_every_other_end(exit_code: int) -> None:
    assert decide(exit_code, None, StopReason.CANCEL) == Cancelled()
    for reason in SAVING_STOPS:
        assert isinstance(decide(exit_code, FAILURE, reason), Interrupted)


def test_a_run_out_of_time_has_failed_and_a_silent_one_has_crashed() -> None:
    assert isinstance(timed_out := decide(EXIT_STOPPED, None, StopReason.TIMEOUT), Failed)
    assert timed_out.code == "timeout"
    assert isinstance(silent := decide(-9, None, StopReason.SILENCE), Crashed)
    assert silent.code == "trainer_stalled"


def test_a_stop_that_came_from_outside_is_an_interruption() -> None:
    assert isinstance(decide(EXIT_STOPPED), Interrupted)


def test_a_named_failure_is_reported_in_its_own_words() -> None:
    assert decide(EXIT_FAILED, FAILURE) == Failed("no_targets", "nothing to learn")


@pytest.mark.parametrize("code", ["cuda_error", "disk_full", "host_out_of_memory"])
def test_what_may_pass_is_worth_another_try(code: str) -> None:
    assert decide(EXIT_FAILED, Failure(code=code, message="odd")) == Crashed(code, "odd")


def test_a_full_gpu_is_tried_with_smaller_batches_only_where_that_may_be() -> None:
    failure = Failure(code="cuda_out_of_memory", message="full")
    assert decide(EXIT_FAILED, failure, can_halve_batch=True) == TooLarge("full")
    assert decide(EXIT_FAILED, failure) == Failed("cuda_out_of_memory", "full")
    assert decide(EXIT_FAILED, FAILURE, can_halve_batch=True) == Failed("no_targets", "nothing to learn")


def test_null_characters_do_not_reach_the_database() -> None:
    assert decide(EXIT_FAILED, Failure(code="odd", message="a\x00b")) == Failed("odd", "ab")


def test_a_kill_by_the_kernel_for_memory_is_named_as_such() -> None:
    outcome = decide_crashed(-9, was_out_of_memory=True)
    assert outcome.code == "host_out_of_memory"
    assert "batch_size" in outcome.message


def test_other_signals_do_not_mean_a_lack_of_memory() -> None:
    outcome = decide_crashed(-11, was_out_of_memory=True)
    assert outcome.code == "trainer_killed"
    assert "SIGSEGV" in outcome.message


@pytest.mark.parametrize(("exit_code", "words"), [(0, "without a result"), (1, "exit code 1"), (139, "exit code 139")])
def test_crashes_are_described_by_exit_code(exit_code: int, words: str) -> None:
    outcome = decide_crashed(exit_code)
    assert outcome.code == "trainer_crashed"
    assert words in outcome.message


def test_a_result_with_a_bad_exit_code_is_a_crash() -> None:
    outcome = decide(1, RESULT)
    assert isinstance(outcome, Crashed)
    assert outcome.code == "trainer_crashed"
