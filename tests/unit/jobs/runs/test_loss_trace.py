"""The short form of a job's losses."""

from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.loss_trace import MAX_POINTS, extend_trace


def trace_steps(start: int, end: int) -> list[tuple[int, float]]:
    return [(step, float(step)) for step in range(start, end + 1)]


def test_few_losses_are_kept_as_they_are() -> None:
    assert extend_trace(None, trace_steps(1, 3)) == {"stride": 1, "losses": [1.0, 2.0, 3.0]}
    full = extend_trace(None, trace_steps(1, MAX_POINTS))
    assert full == {"stride": 1, "losses": [float(step) for step in range(1, MAX_POINTS + 1)]}


def test_of_many_every_second_stays_and_the_last() -> None:
    trace = extend_trace(None, trace_steps(1, MAX_POINTS + 1))
    assert trace == {"stride": 2, "losses": [float(step) for step in range(2, MAX_POINTS + 1, 2)] + [65.0]}


def test_a_loss_that_is_not_known_is_a_gap_until_a_neighbour_takes_its_place() -> None:
    trace = extend_trace(None, [(1, 4.0), (3, None), (4, 1.0)])
    assert trace == {"stride": 1, "losses": [4.0, None, None, 1.0]}
    wider = extend_trace(trace, [(MAX_POINTS + 1, 0.5)])
    assert (wider["stride"], wider["losses"][:3], wider["losses"][-1]) == (2, [4.0, 1.0, None], 0.5)


def test_a_run_that_resumes_from_a_checkpoint_removes_the_losses_that_it_repeats() -> None:
    whole = extend_trace(None, trace_steps(1, 10))
    assert extend_trace(whole, [(7, 70.0)]) == {"stride": 1, "losses": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 70.0]}


@given(step_count=st.integers(1, 3000), cuts=st.lists(st.integers(1, 3000), max_size=8))
def test_neither_batches_nor_steps_done_again_make_a_difference(step_count: int, cuts: list[int]) -> None:
    whole = extend_trace(None, trace_steps(1, step_count))
    stride, losses = whole["stride"], whole["losses"]
    ends = [min(stride * (index + 1), step_count) for index in range(len(losses))]
    assert losses == [float(end) for end in ends]
    assert len(losses) <= MAX_POINTS
    assert stride == 1 or len(losses) > MAX_POINTS // 2
    trace, done = None, 0
    for cut in [*cuts, step_count]:
        # Every batch after the first begins with steps that are there already, as far back as the cut.
        end = max(min(cut, step_count), 1)
        trace = extend_trace(trace, trace_steps(min(done, end) + 1, step_count if cut == step_count else end))
        done = end // 2
    trace = extend_trace(trace, trace_steps(done + 1, step_count))
    assert trace == whole
