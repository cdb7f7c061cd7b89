"""Lengths of examples, their percentiles and histograms, and padding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomodel.insights.length_statistics import Lengths, measure_batching
from emomodel.insights.token_report import Bin


def make_lengths(values: list[int]) -> Lengths:
    lengths = Lengths()
    for value in values:
        lengths.add(value)
    return lengths


def test_lengths_are_described() -> None:
    described = make_lengths([*range(1, 101), 1000]).describe()
    assert (described.total, described.p50, described.p95, described.max) == (6050, 51, 96, 1000)
    assert described.mean == 59.9
    assert described.histogram == (
        Bin(low=0, high=15, count=15),
        Bin(low=16, high=31, count=16),
        Bin(low=32, high=63, count=32),
        Bin(low=64, high=127, count=37),
        Bin(low=128, high=255, count=0),
        Bin(low=256, high=511, count=0),
        Bin(low=512, high=1023, count=1),
    )


def test_nothing_is_described_too() -> None:
    described = Lengths().describe()
    assert (described.total, described.mean, described.p50, described.max, described.histogram) == (0, 0.0, 0, 0, ())


@given(st.lists(st.integers(0, 3000), min_size=1))
def test_percentiles_and_bins_are_those_of_the_sorted_list(values: list[int]) -> None:
    described = make_lengths(values).describe()
    ordered = sorted(values)
    assert described.p50 == ordered[(len(ordered) + 1) // 2 - 1]
    assert described.max == ordered[-1]
    for part in described.histogram:
        assert part.count == sum(part.low <= value <= part.high for value in values)
    assert sum(part.count for part in described.histogram) == len(values)


def test_few_lengths_are_drawn_all_and_many_in_their_proportions() -> None:
    assert sorted(make_lengths([3, 1, 2, 2]).draw()) == [1, 2, 2, 3]
    drawn = make_lengths([1] * 30_000 + [2] * 90_000).draw()
    assert len(drawn) < 120_000
    assert abs(drawn.count(2) / len(drawn) - 0.75) < 0.02
    assert drawn == make_lengths([2] * 90_000 + [1] * 30_000).draw()


def test_shares_of_tokens_that_are_no_padding() -> None:
    # Batches have two examples. Sorted by fours, 60 goes with 40, and 20 with 10. Packed, rows have 128 places for 80
    # and 50.
    shares = measure_batching([60, 20, 40, 10] * 4, batch_size=2, max_length=100)
    assert shares.fixed == pytest.approx(130 / 400)
    assert shares.dynamic == pytest.approx(130 / (2 * 60 + 2 * 20), abs=1e-4)
    assert shares.packed == pytest.approx(130 / (2 * 128), abs=1e-4)


def test_without_examples_there_are_no_shares() -> None:
    assert measure_batching([], batch_size=12, max_length=256).packed == 0.0
