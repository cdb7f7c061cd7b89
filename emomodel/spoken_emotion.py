"""Emotions as people type them at a prompt: `joy=0.9 fear=0.2`, or `neutral`. [light]"""

from emomodel.emotion_reader import EmotionReader
from emomodel.emotions import Axes, EmotionVector
from emomodel.problems import Finding

NEUTRAL = "neutral"


class EmotionUnreadable(ValueError):
    """The text is not an emotion."""


def parse_emotion(text: str, axes: Axes) -> EmotionVector:
    """The vector of `text`, written as in a dataset's tags, or the word `neutral`. Raises EmotionUnreadable."""
    if text.strip().lower() == NEUTRAL:
        return axes.neutral
    emotion = EmotionReader(axes).from_attributes(text)
    if isinstance(emotion, Finding):
        raise EmotionUnreadable(f"the emotion {text!r} can't be read: {emotion.message}. {emotion.fix}")
    return emotion
