"""Tags and complete examples that were read can be printed, and the printed form reads the same again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomodel.data.drafts import Span
from emomodel.data.emotion_reader import EmotionReader
from emomodel.data.examples import Example, Turn, parse_example
from emomodel.data.printing import print_example, print_tagged
from emomodel.data.tags import TagReader
from emomodel.emotions import DEFAULT_AXES, Axes, EmotionVector

AXES = Axes(("COLD_WARM", "SLOW_FAST"))

# Texts are built from these pieces: complete tags, halves of tags, and the characters that make a tag or text of them.
MARKS = st.sampled_from(
    [
        *("<emo warm>", "<emo cold=0.25, fast=1>", '<emo slow="1e-3">', "</emo>", "<", ">", "</", "emo", "<emotion x>"),
        *("\\", "\\<emo warm>", "\\</emo>", "< emo>", "<EMO", " ", "[", "\n", '"', "word", "\u00e9", "\U0001f600"),
    ]
)
TEXTS = st.lists(MARKS | st.text(max_size=4), max_size=12).map("".join)
VALUES = st.floats(-1, 1).map(lambda value: value + 0.0)
VECTORS: st.SearchStrategy[EmotionVector] = st.tuples(VALUES, VALUES)


@given(TEXTS)
def test_tags_read_and_printed_read_the_same(text: str) -> None:
    first = TagReader(text, EmotionReader(AXES))
    if first.findings:
        return
    printed = print_tagged(first.content, first.spans, AXES)
    second = TagReader(printed, EmotionReader(AXES))
    assert (second.content, second.spans, second.findings) == (first.content, first.spans, [])
    assert print_tagged(second.content, second.spans, AXES) == printed


@st.composite
def tagged_turns(draw: st.DrawFn) -> dict[str, object]:
    """Draw a message whose text holds well-formed tags, with or without an emotion of its own."""
    content = ""
    for _ in range(draw(st.integers(1, 4))):
        word = draw(
            st.sampled_from(["Hurray", " so so ", "\\ or <", "\\<emo warm>", "\u00e9", "a [b]", "<em", "mo warm>"])
        )
        attributes = draw(st.sampled_from(["", "cold=0.3", "warm", "slow_fast=-0.125,cold_warm=1", "fast=0"]))
        content += f"<emo {attributes}>{word}.</emo>" if attributes else word + "."
    message: dict[str, object] = {"content": content}
    if draw(st.booleans()):
        message["emotion"] = draw(st.one_of(VECTORS.map(list), st.just({"warm": 1}), st.just({"cold_warm": -0.5})))
    return message


@given(
    st.lists(tagged_turns(), min_size=2, max_size=6), st.booleans(), st.sampled_from([None, {"fast": 0.5}]), st.data()
)
def test_examples_read_and_printed_read_the_same(
    messages: list[dict[str, object]], has_system: bool, emotion: object, data: st.DataObject
) -> None:
    roles = ["user", "assistant"] * (len(messages) // 2)
    chat = [{"role": role, **message} for role, message in zip(roles, messages, strict=False)]
    for message in chat[1:-1:2]:
        message["weight"] = data.draw(st.sampled_from([0, 1]))
    system = [{"role": "system", "content": "Be <emo warm=0.1>kind</emo>."}] if has_system else []
    first = parse_example(json.dumps({"messages": [*system, *chat], "emotion": emotion}), 7, AXES)
    printed = print_example(first, AXES)
    assert parse_example(printed, 7, AXES) == first
    assert print_example(parse_example(printed, 7, AXES), AXES) == printed


@given(st.lists(VECTORS, min_size=1, max_size=3), VECTORS)
def test_emotions_are_printed_exactly(span_emotions: list[EmotionVector], emotion: EmotionVector) -> None:
    spans = tuple(Span(3 * index, 3 * index + 2, vector) for index, vector in enumerate(span_emotions))
    turns = (Turn("user", "Hi", (0.0, 0.0)), Turn("assistant", "ab " * len(spans), emotion, spans, is_target=True))
    assert parse_example(print_example(Example(1, turns), AXES), 1, AXES).turns == turns


def test_the_normal_form_is_the_shortest_plain_one() -> None:
    line = (
        '{"emotion": [0.5, 0, 0, 0, 0, 0, 0, 0], "messages": [{"role": "user", "content": "\\u00dcber <b>"}, '
        '{"role": "model", "content": "A\\\\<emo>b <emo sadness_joy=-1,fear=\\"0.20\\">c</emo>"}, '
        '{"role": "user", "content": "d", "emotion": {"Anger": 1.0}}, '
        '{"role": "assistant", "content": "<emo joy=0>e</emo>", "weight": 0}]}'
    )
    assert print_example(parse_example(line, 1)) == (
        '{"messages": [{"role": "user", "content": "\u00dcber <b>"}, {"role": "assistant", "content": '
        '"A\\\\<emo>b <emo sadness=1 fear=0.2>c</emo>", "emotion": {"joy": 0.5}}, '
        '{"role": "user", "content": "d", "emotion": {"anger": 1.0}}, '
        '{"role": "assistant", "content": "<emo joy=0>e</emo>", "emotion": {"joy": 0.5}, "weight": 0}]}'
    )


def test_a_span_after_a_backslash_has_no_printed_form() -> None:
    with pytest.raises(ValueError, match="at character 3"):
        print_tagged("a\\b", [Span(2, 3, DEFAULT_AXES.vector({"joy": 1}))])
