"""What a process's end means for its job."""

import pytest

from emomodel.progress import EXIT_FAILED, EXIT_STOPPED, Failure, Result
from worker.outcome import Cancelled, Failed, Interrupted, Lost, Outcome, Succeeded, decide_outcome
from worker.supervisor import Ending, StopReason

RESULT = Result(final_loss=1.0, step_count=1, token_count=1, train_seconds=1.0, peak_memory_bytes=1, peak_host_bytes=1)
FAILURE = Failure(code="no_targets", message="nothing to learn")


def decide(
    exit_code: int,
    last_line: Result | Failure | None = None,
    reason: StopReason | None = None,
    *,
    was_out_of_memory: bool = False,
) -> Outcome:
    ending = Ending(exit_code, reason, was_forced=False, last_line=last_line)
    return decide_outcome(ending, last_lines=["Traceback", "Boom"], was_out_of_memory=was_out_of_memory)


def decide_failed(exit_code: int, last_line: Failure | None = None, *, was_out_of_memory: bool = False) -> Failed:
    outcome = decide(exit_code, last_line, was_out_of_memory=was_out_of_memory)
    assert isinstance(outcome, Failed)
    return outcome


@pytest.mark.parametrize("reason", [None, StopReason.CANCEL, StopReason.DRAIN])
def test_a_run_that_was_complete_has_succeeded_even_if_a_stop_came_meanwhile(reason: StopReason | None) -> None:
    assert decide(0, RESULT, reason) == Succeeded(RESULT)


def test_a_lost_run_is_lost_even_if_it_was_complete() -> None:
    assert decide(0, RESULT, StopReason.LOST) == Lost()


@pytest.mark.parametrize("exit_code", [EXIT_STOPPED, -15, -9, EXIT_FAILED])
def test_a_stop_explains_every_other_end(exit_code: int) -> None:
    assert decide(exit_code, None, StopReason.CANCEL) == Cancelled(exit_code)
    assert decide(exit_code, None, StopReason.DRAIN) == Interrupted(exit_code)


def test_a_named_failure_is_told_in_its_own_words() -> None:
    assert decide_failed(EXIT_FAILED, FAILURE) == Failed("no_targets", "nothing to learn", EXIT_FAILED)


def test_null_characters_do_not_reach_the_database() -> None:
    failure = Failure(code="odd", message="a\x00b")
    assert decide_failed(EXIT_FAILED, failure).message == "ab"


def test_a_kill_by_the_kernel_for_memory_is_named_as_such() -> None:
    outcome = decide_failed(-9, was_out_of_memory=True)
    assert outcome.code == "host_out_of_memory"
    assert "batch_size" in outcome.message


def test_other_signals_are_no_want_of_memory() -> None:
    outcome = decide_failed(-11, was_out_of_memory=True)
    assert outcome.code == "trainer_killed"
    assert "SIGSEGV" in outcome.message
    assert outcome.message.endswith("Traceback\nBoom")


@pytest.mark.parametrize(("exit_code", "words"), [(0, "without a result"), (1, "exit code 1"), (139, "exit code 139")])
def test_crashes_are_told_by_exit_code(exit_code: int, words: str) -> None:
    outcome = decide_failed(exit_code)
    assert (outcome.code, outcome.exit_code) == ("trainer_crashed", exit_code)
    assert words in outcome.message


def test_a_result_with_a_bad_exit_code_is_a_crash() -> None:
    outcome = decide(1, RESULT)
    assert isinstance(outcome, Failed)
    assert outcome.code == "trainer_crashed"
