"""Emotions as people type them at a prompt: `joy=0.9 fear=0.2`, `neutral`, or `sadness=0.9 -> joy=0.9`.

An arrow separates one emotion of a reply from the next. Each holds for an equal part of the tokens that the reply may
have, or for the number that follows `for`: `sadness for 12 -> joy`. Between two emotions is a step, not a slope: the
model was trained on spans with one emotion each, and half-way from sadness to joy is neutral.
"""

import re

from emomodel.data.emotion_reader import EmotionReader
from emomodel.data.problems import Finding
from emomodel.emotions import Axes, EmotionVector
from emomodel.errors import EmomodelError

NEUTRAL = "neutral"
_ARROW = "->"
# No reply has more tokens than nine digits can say.
_COUNT = re.compile(r"0*[1-9][0-9]{0,8}", re.ASCII)
_FOR = re.compile(r"(?P<emotion>.*?)\s+for\s+(?P<count>\S+)\s*", re.DOTALL)


class EmotionUnreadable(EmomodelError):
    """The text is not an emotion."""

    code = "emotion_unreadable"


def parse_emotion(text: str, axes: Axes) -> EmotionVector:
    """Return the emotion vector (axes,) of `text`, written as in a dataset's tags, or the word `neutral`.

    Raises EmotionUnreadable, which says what is wrong and how to write it.
    """
    if text.strip().lower() == NEUTRAL:
        return axes.neutral
    emotion = EmotionReader(axes).from_attributes(text)
    if isinstance(emotion, Finding):
        raise EmotionUnreadable(f"the emotion {text!r} can't be read: {emotion.message}. {emotion.fix}")
    return emotion


def parse_schedule(text: str, axes: Axes, max_new_tokens: int) -> list[EmotionVector]:
    """Return an emotion vector for each token of a reply and one for the end of its turn: max_new_tokens + 1 in all.

    Raises EmotionUnreadable.
    """
    stops = [_parse_stop(stop, text, axes) for stop in text.split(_ARROW)]
    fixed = sum(count for _, count in stops if count is not None)
    open_count = sum(count is None for _, count in stops)
    if fixed + open_count > max_new_tokens:
        raise EmotionUnreadable(
            f"the emotion {text!r} needs at least {fixed + open_count} tokens, and the reply may have "
            f"{max_new_tokens}; allow more tokens, or shorten it"
        )
    schedule: list[EmotionVector] = []
    for emotion, count in stops:
        if count is not None:
            schedule += [emotion] * count
            continue
        # The tokens without a `for` are shared among this stop and the ones after it that have none.
        share = (max_new_tokens - fixed) // open_count
        schedule += [emotion] * share
        fixed, open_count = fixed + share, open_count - 1
    last, _ = stops[-1]
    return schedule + [last] * (max_new_tokens + 1 - len(schedule))


def _parse_stop(stop: str, text: str, axes: Axes) -> tuple[EmotionVector, int | None]:
    """The emotion of one stop, and the number after its `for`, or None without one."""
    match = _FOR.fullmatch(stop)
    spoken = match["emotion"] if match else stop
    if not spoken.strip():
        raise EmotionUnreadable(
            f"the emotion {text!r} can't be read: an emotion is missing beside {_ARROW}. "
            f'Write "sadness=0.9 {_ARROW} joy=0.9"; the word {NEUTRAL} is an emotion, too.'
        )
    if match is None:
        return parse_emotion(spoken.strip(), axes), None
    if not _COUNT.fullmatch(match["count"]):
        raise EmotionUnreadable(
            f'the emotion {text!r} can\'t be read: "for {match["count"]}" is no number of tokens. '
            f'Write "sadness=0.9 for 12 {_ARROW} joy=0.9".'
        )
    return parse_emotion(spoken.strip(), axes), int(match["count"])
