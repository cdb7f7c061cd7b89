"""Emotions counted by tokens, and the advice that follows from the counts."""

import pytest

from emomodel.emotions import Axes, EmotionVector
from emomodel.insights.emotion_tokens import EmotionCounts

AXES = Axes(("SADNESS_JOY", "ANGER_CALMNESS"))


def count(*segments: tuple[EmotionVector, int]) -> EmotionCounts:
    counts = EmotionCounts(AXES)
    for emotion, token_count in segments:
        counts.add(emotion, token_count)
    return counts


def test_poles_are_counted_by_segment_and_token() -> None:
    described = count(((0.9, 0.0), 6), ((0.3, -1.0), 2), ((-0.05, 0.0), 1), ((0.0, 0.0), 11)).describe()
    assert (described.segment_count, described.neutral_segment_count, described.neutral_token_count) == (4, 1, 11)
    joy = described.poles["joy"]
    assert (joy.segment_count, joy.token_count, joy.token_share) == (2, 8, 0.4)
    assert joy.mean_intensity == pytest.approx(0.6)
    assert joy.histogram == (0, 0, 1, 0, 0, 0, 0, 0, 1, 0)
    assert described.poles["sadness"].histogram[0] == 1
    assert described.poles["anger"].histogram[9] == 1
    assert described.poles["calmness"].token_count == 0
    assert list(described.poles) == ["sadness", "joy", "anger", "calmness"]
    assert described.co_occurrence == ((1, 0, 0, 0), (0, 2, 1, 0), (0, 1, 1, 0), (0, 0, 0, 0))


def test_nothing_is_described_too() -> None:
    assert count().describe().poles["joy"].token_share == 0.0
    assert list(count().warn()) == []


@pytest.mark.parametrize(
    ("segments", "code", "message"),
    [
        ([((0.0, 0.0), 9)], "no_emotion", "no reply has an emotion"),
        ([((0.5, 0.0), 9), ((-0.5, 0.0), 9)], "axis_unused", "neither anger nor calmness ever occurs"),
        ([((0.5, 0.2), 9), ((-0.5, 0.0), 9)], "pole_unused", "anger never occurs: the model can't learn it"),
        (
            [((0.5, 0.2), 80), ((-0.5, -0.2), 10), ((0.0, -0.3), 60)],
            "poles_unbalanced",
            "joy is 8 times as common as sadness, by tokens",
        ),
        (
            [((0.9, 0.2), 5), ((-0.1, -0.2), 5)] + [((0.9, -0.1), 1), ((-0.2, 0.1), 1)] * 10,
            "intensity_constant",
            "joy always has the intensity 0.9",
        ),
    ],
)
def test_what_keeps_the_model_from_learning_is_reported_with_advice(
    segments: list[tuple[EmotionVector, int]], code: str, message: str
) -> None:
    found = [warning for warning in count(*segments).warn() if warning.code == code]
    assert [warning.message.startswith(message) for warning in found] == [True]
    assert found[0].advice.endswith(".")


def test_a_balanced_dataset_is_not_warned_of() -> None:
    segments = [((0.5, 0.2), 9), ((-0.5, -0.2), 9), ((0.4, 0.2), 9)]
    assert list(count(*segments).warn()) == []
