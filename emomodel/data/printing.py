"""Writes an example as its line in the dataset format, in a normal form that parse_example reads back unchanged.

Emotions are on the messages that they belong to, by poles; those of spans are in tags. The example itself has none.
"""

import json
from collections.abc import Sequence

from emomodel.data.drafts import Span
from emomodel.data.examples import Example, Turn
from emomodel.data.tags import escape_tags
from emomodel.emotions import DEFAULT_AXES, Axes, EmotionVector


def print_example(example: Example, axes: Axes = DEFAULT_AXES) -> str:
    """An example as one JSON object, without the newline. Raises ValueError as `print_tagged` does."""
    messages = [_print_turn(turn, axes) for turn in example.turns]
    return json.dumps({"messages": messages}, ensure_ascii=False)


def print_tagged(content: str, spans: Sequence[Span], axes: Axes = DEFAULT_AXES) -> str:
    """A text with its spans as tags, and a backslash before all that would otherwise be read as a tag.

    Raises ValueError if a backslash precedes a tag, as it would turn the tag into text. A text that was read from a
    dataset never has one there.
    """
    printed: list[str] = []
    position = 0
    for span in spans:
        before, tagged = content[position : span.start], content[span.start : span.end]
        if before.endswith("\\") or tagged.endswith("\\"):
            raise ValueError(f"there is a backslash before the tag at character {span.start + 1} of the text")
        printed += (
            escape_tags(before),
            f"<emo {_print_attributes(span.emotion, axes)}>",
            escape_tags(tagged),
            "</emo>",
        )
        position = span.end
    printed.append(escape_tags(content[position:]))
    return "".join(printed)


def _print_turn(turn: Turn, axes: Axes) -> dict[str, object]:
    message: dict[str, object] = {"role": turn.role, "content": print_tagged(turn.content, turn.spans, axes)}
    if any(turn.emotion):
        message["emotion"] = axes.describe(turn.emotion)
    if turn.role == "assistant" and not turn.is_target:
        message["weight"] = 0
    return message


def _print_attributes(emotion: EmotionVector, axes: Axes) -> str:
    # A neutral span names a pole too, because a tag has to name one.
    named = axes.describe(emotion) or {axes.poles[1]: 0.0}
    return " ".join(f"{name}={value!r}".removesuffix(".0") for name, value in named.items())
