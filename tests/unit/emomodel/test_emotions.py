import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomodel.emotions import (
    DEFAULT_AXES,
    Axes,
    AxisGivenTwice,
    EmotionOutOfRange,
    UnknownEmotion,
    WrongVectorLength,
)
from emomodel.generation.spoken_emotion import EmotionUnreadable, parse_emotion

TWO = Axes(("SADNESS_JOY", "FEAR_COURAGE"))


@pytest.mark.parametrize(
    ("values", "vector"),
    [
        ({}, (0.0, 0.0)),
        ({"joy": 0.9}, (0.9, 0.0)),
        ({"sadness": 0.4}, (-0.4, 0.0)),
        ({"sadness_joy": -0.4}, (-0.4, 0.0)),
        ({"JOY": 1, "Fear": 0.5}, (1.0, -0.5)),
    ],
)
def test_names_point_along_their_axes(values: dict[str, float], vector: tuple[float, ...]) -> None:
    assert TWO.vector(values) == vector


def test_a_pole_at_zero_gives_a_plain_zero() -> None:
    assert math.copysign(1, TWO.vector({"sadness": 0.0})[0]) == 1


def test_each_mistake_has_its_own_message() -> None:
    with pytest.raises(UnknownEmotion, match="did you mean 'joy'"):
        TWO.vector({"joyy": 1})
    with pytest.raises(AxisGivenTwice, match="'joy' and 'sadness'"):
        TWO.vector({"joy": 1, "sadness": 1})
    for name, value in [("joy", -0.1), ("joy", 1.1), ("sadness_joy", -1.1), ("joy", math.nan), ("joy", math.inf)]:
        with pytest.raises(EmotionOutOfRange, match=name):
            TWO.vector({name: value})
    with pytest.raises(WrongVectorLength, match="has 3 numbers; give 2"):
        TWO.vector_from_list([0, 0, 0])


def test_axes_must_be_well_formed_and_distinct() -> None:
    for names in [
        ("SADNESS_JOY",),
        ("JOY", "FEAR_COURAGE"),
        ("A_B_C", "D_E"),
        ("sadness_joy", "FEAR_COURAGE"),
        ("SADNESS_JOY", "SADNESS_JOY"),
        ("SADNESS_JOY", "GRIEF_JOY"),
        tuple(f"A{index}_B{index}" for index in range(65)),
    ]:
        with pytest.raises(ValueError, match=r"axes|axis"):
            Axes(names)
    assert len(Axes(tuple(f"A{index}_B{index}" for index in range(64)))) == 64


def test_default_axes_are_those_of_the_seed() -> None:
    assert tuple(DEFAULT_AXES) == (
        "SADNESS_JOY",
        "FEAR_COURAGE",
        "DISGUST_ACCEPTANCE",
        "ANGER_CALMNESS",
        "SURPRISE_EXPECTATION",
        "DISTRUST_TRUST",
        "BOREDOM_INTEREST",
        "INDIFFERENCE_EMPATHY",
    )
    assert DEFAULT_AXES.poles[:4] == ["sadness", "joy", "fear", "courage"]


@given(st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_a_description_leads_back_to_its_vector(numbers: list[float]) -> None:
    vector = DEFAULT_AXES.vector_from_list(numbers)
    assert DEFAULT_AXES.vector(DEFAULT_AXES.describe(vector)) == vector == tuple(numbers)


def test_spoken_emotions() -> None:
    assert parse_emotion("joy=0.9 fear=0.2", TWO) == (0.9, -0.2)
    assert parse_emotion("joy, courage", TWO) == (1.0, 1.0)
    assert parse_emotion(" Neutral ", TWO) == TWO.neutral
    for text in ("", "joyful", "joy=2", "joy=much"):
        with pytest.raises(EmotionUnreadable, match="can't be read"):
            parse_emotion(text, TWO)
