"""The fractions of padding in the statistics, compared with the batches of a training."""

import random
from statistics import mean

import pytest
import torch

from emomodel.batches import order as batching
from emomodel.batches import packing
from emomodel.batches.order import BatchOrder
from emomodel.batches.packing import Shape
from emomodel.insights.length_statistics import MIN_GROUPS, SORTED_BATCHES, TOKEN_STEP, measure_batching

pytestmark = pytest.mark.model

BATCH_SIZE, MAX_LENGTH = 12, 256


def make_lengths(count: int) -> list[int]:
    generator = random.Random(1)  # noqa: S311  no secret
    return [min(int(generator.lognormvariate(4, 0.7)) + 8, MAX_LENGTH) for _ in range(count)]


def make_order(lengths: list[int], *, groups_by_length: bool) -> BatchOrder:
    return BatchOrder(
        lengths,
        [1] * len(lengths),
        batch_size=BATCH_SIZE,
        batch_count=5 * -(-len(lengths) // BATCH_SIZE),
        seed=3,
        groups_by_length=groups_by_length,
    )


def test_the_rules_are_the_trainers() -> None:
    assert (SORTED_BATCHES, MIN_GROUPS) == (batching._SORTED_BATCHES, batching._MIN_GROUPS)
    assert packing._TOKEN_STEP == TOKEN_STEP


@pytest.mark.parametrize("count", [30, 330, 3000])
def test_dynamic_batches_have_the_padding_that_the_statistics_say(count: int) -> None:
    lengths = make_lengths(count)
    padded = sum(
        len(batch) * max(lengths[index] for index in batch) for batch in make_order(lengths, groups_by_length=True)
    )
    generator = random.Random(2)  # noqa: S311  no secret
    shares = [
        measure_batching(generator.sample(lengths, count), batch_size=BATCH_SIZE, max_length=MAX_LENGTH)
        for _ in range(5)
    ]
    assert mean(share.dynamic for share in shares) == pytest.approx(5 * sum(lengths) / padded, abs=0.02)


@pytest.mark.parametrize("count", [330, 3000])
def test_packed_rows_have_the_padding_that_the_statistics_say(count: int) -> None:
    lengths = make_lengths(count)
    order = make_order(lengths, groups_by_length=False)
    row = Shape.of(order.largest, order.longest_example).token_count
    real = torch.tensor(lengths).sum().item() / (order.batches_per_epoch * row)
    share = measure_batching(lengths, batch_size=BATCH_SIZE, max_length=MAX_LENGTH).packed
    # The longest row of a training is the longest of all its epochs.
    assert real <= share + 0.02
    assert share == pytest.approx(real, abs=0.1)
