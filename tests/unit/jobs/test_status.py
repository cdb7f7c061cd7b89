"""The table of statuses."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.status import FINAL_STATUSES, TRANSITIONS, JobStatus, can_move

statuses = st.sampled_from(JobStatus)


def test_the_table_names_every_status() -> None:
    assert set(TRANSITIONS) == set(JobStatus)


def test_final_are_the_three_that_an_owner_waits_for() -> None:
    assert set(FINAL_STATUSES) == {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}


@given(statuses, statuses)
def test_nothing_leaves_a_final_status(old: JobStatus, new: JobStatus) -> None:
    assert not (old.is_final and can_move(old, new))


@given(statuses)
def test_no_status_moves_to_itself(status: JobStatus) -> None:
    assert not can_move(status, status)


@given(statuses)
def test_only_a_running_job_can_succeed(status: JobStatus) -> None:
    assert can_move(status, JobStatus.SUCCEEDED) == (status is JobStatus.RUNNING)


def test_every_status_can_be_left_for_an_end_or_is_one() -> None:
    reaches_an_end = set(FINAL_STATUSES)
    for _ in JobStatus:
        reaches_an_end |= {status for status in JobStatus if TRANSITIONS[status] & reaches_an_end}
    assert reaches_an_end == set(JobStatus)
