from collections import Counter

import pytest

from emomodel.batches.balance import balance_by_axes
from emomodel.batches.order import BatchOrder
from emomodel.samples.dataset import IGNORED_LABEL, Sample

pytestmark = pytest.mark.model

JOY, SADNESS, FEAR, NEUTRAL = (0.8, 0.0), (-0.3, 0.0), (0.0, -1.0), (0.0, 0.0)


def make(*emotions: tuple[float, float]) -> Sample:
    """A sample of one prompt token, which is no target, and one target token for each emotion."""
    count = len(emotions) + 1
    return Sample(
        input_ids=[1] * count,
        attention_mask=[1] * count,
        emotion_vectors=[FEAR, *emotions],
        labels=[IGNORED_LABEL, *[1] * len(emotions)],
    )


def test_each_pole_and_neutral_get_the_same_share() -> None:
    samples = [make(JOY)] * 12 + [make(SADNESS)] * 4 + [make(NEUTRAL)] * 4
    weights = balance_by_axes(samples)
    assert weights.mean() == pytest.approx(1)
    assert weights[:12].sum() == pytest.approx(weights[12:16].sum()) == pytest.approx(weights[16:].sum())


def test_a_sample_of_two_emotions_lies_between_them() -> None:
    weights = balance_by_axes([make(JOY)] * 9 + [make(SADNESS)] * 1 + [make(JOY, SADNESS)]).tolist()
    assert weights[0] < weights[10] < weights[9]


def test_a_single_rare_sample_is_not_drawn_without_end() -> None:
    weights = balance_by_axes([make(JOY)] * 1000 + [make(SADNESS)])
    assert weights[-1] == 8


def test_the_order_draws_by_the_weights_and_always_the_same() -> None:
    samples = [make(JOY)] * 90 + [make(SADNESS)] * 10
    orders = [
        BatchOrder(
            [2] * 100,
            [1] * 100,
            batch_size=10,
            batch_count=200,
            seed=3,
            groups_by_length=False,
            weights=balance_by_axes(samples),
        )
        for _ in range(2)
    ]
    first, second = (list(order) for order in orders)
    assert first == second
    drawn = Counter(index >= 90 for batch in first for index in batch)
    assert drawn[True] / drawn.total() == pytest.approx(0.5, abs=0.05)
    assert len({index for batch in first for index in batch}) > 95
