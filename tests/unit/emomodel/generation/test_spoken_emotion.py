import pytest

from emomodel.emotions import DEFAULT_AXES, Axes
from emomodel.generation.spoken_emotion import EmotionUnreadable, parse_emotion, parse_schedule

JOY = DEFAULT_AXES.vector({"joy": 1.0})
SADNESS = DEFAULT_AXES.vector({"sadness": 0.9})
NEUTRAL = DEFAULT_AXES.neutral


def test_neutral_is_an_emotion() -> None:
    assert parse_emotion(" Neutral ", DEFAULT_AXES) == NEUTRAL
    assert parse_emotion("sadness=0.9", DEFAULT_AXES) == SADNESS


@pytest.mark.parametrize(
    ("text", "max_new_tokens", "expected"),
    [
        ("joy", 3, [JOY] * 4),
        ("sadness=0.9 -> joy", 4, [SADNESS] * 2 + [JOY] * 3),
        ("sadness=0.9->joy", 5, [SADNESS] * 2 + [JOY] * 4),
        ("sadness=0.9 -> neutral -> joy", 6, [SADNESS] * 2 + [NEUTRAL] * 2 + [JOY] * 3),
        ("sadness=0.9 for 1 -> joy", 4, [SADNESS] + [JOY] * 4),
        ("sadness=0.9 -> joy for 1 -> neutral", 5, [SADNESS] * 2 + [JOY] + [NEUTRAL] * 3),
        ("sadness=0.9 for 1 -> joy for 1", 4, [SADNESS] + [JOY] * 4),
        ("joy for 4", 4, [JOY] * 5),
    ],
)
def test_stops_of_a_reply_share_its_tokens(text: str, max_new_tokens: int, expected: list[object]) -> None:
    """Each stop gets an equal part or the number after its `for`; the last one also holds for the end of the turn."""
    assert parse_schedule(text, DEFAULT_AXES, max_new_tokens) == expected


def test_schedules_follow_the_axes_of_the_bundle() -> None:
    axes = Axes(("COLD_WARM", "SOFT_HARD"))
    assert parse_schedule("cold -> hard=0.5", axes, 2) == [(-1.0, 0.0), (0.0, 0.5), (0.0, 0.5)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("joy ->", "'joy ->' can't be read: an emotion is missing beside ->. Write \"sadness=0.9 -> joy=0.9\""),
        ("-> joy", "an emotion is missing"),
        ("sadness -> joi", "unknown emotion 'joi'. Did you mean 'joy'?"),
        ("joy for soon -> fear", '"for soon" is no number of tokens. Write "sadness=0.9 for 12'),
        ("joy for 0", "is no number of tokens"),
        ("joy for 8 -> fear", "needs at least 9 tokens, and the reply may have 8; allow more tokens"),
    ],
)
def test_unreadable_schedules_are_named_with_a_way_out(text: str, words: str) -> None:
    with pytest.raises(EmotionUnreadable) as caught:
        parse_schedule(text, DEFAULT_AXES, 8)
    assert words in str(caught.value)
