"""Tags in a text become spans; text that looks like a tag is either a tag or an error."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emomodel.data.drafts import Span
from emomodel.data.emotion_reader import EmotionReader
from emomodel.data.problems import MAX_FINDINGS_PER_LINE
from emomodel.data.tags import TagReader
from emomodel.emotions import DEFAULT_AXES, EmotionVector

EMOTIONS = EmotionReader(DEFAULT_AXES)


def read(text: str) -> TagReader:
    return TagReader(text, EMOTIONS)


def vector(**values: float) -> EmotionVector:
    return DEFAULT_AXES.vector(values)


def escape(text: str) -> str:
    """Put a backslash before each `<`: as docs/data-format.md says, this makes any text plain."""
    return re.sub(r"<(?=/?emo)", r"\\<", text, flags=re.IGNORECASE)


@pytest.mark.parametrize(
    ("attributes", "emotion"),
    [
        ("joy=0.9", vector(joy=0.9)),
        ("joy", vector(joy=1)),
        ("JOY=.5", vector(joy=0.5)),
        ('joy="0.9"', vector(joy=0.9)),
        ("joy=1e-1", vector(joy=0.1)),
        ("sadness_joy=-0.4", vector(sadness=0.4)),
        ("joy=0.9 fear=0.2", vector(joy=0.9, fear=0.2)),
        ('joy=0.9, fear="0.2",trust', vector(joy=0.9, fear=0.2, trust=1)),
        ("joy=0", DEFAULT_AXES.neutral),
    ],
)
def test_attributes_give_the_emotion(attributes: str, emotion: EmotionVector) -> None:
    reader = read(f"<emo {attributes}>Hurray</emo>")
    assert reader.findings == []
    assert (reader.content, reader.spans) == ("Hurray", [Span(0, 6, emotion)])


def test_text_around_and_between_tags_stays_as_it_is() -> None:
    reader = read(" a &amp; <b> <emo joy>one</emo>\n\t<emo fear=0.5>two </emo >c > d\\")
    assert reader.findings == []
    assert reader.content == " a &amp; <b> one\n\ttwo c > d\\"
    assert [reader.content[span.start : span.end] for span in reader.spans] == ["one", "two "]


@pytest.mark.parametrize("text", ["a < emotions > b", "<em>word</em>", "x <3", "logic < emotion", "<remo joy>"])
def test_other_angle_brackets_are_text(text: str) -> None:
    reader = read(text)
    assert (reader.findings, reader.spans, reader.content) == ([], [], text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<emotion joy=1>x</emotion>", [("tag_malformed", 1), ("tag_malformed", 17)]),
        ("ab<Emo joy>x</Emo>", [("tag_malformed", 3), ("tag_malformed", 13)]),
        ("< emo joy=1>x< / emo>", [("tag_malformed", 1), ("tag_malformed", 14)]),
        ("<emojoy=1>x</emo>", [("tag_malformed", 1)]),
        ("<emo joy=1", [("tag_malformed", 1)]),
        ("<emo joy/>x", [("tag_malformed", 1)]),
        ("<emo joy='1'>x</emo>", [("emotion_not_a_number", 1)]),
        ("<emo joy = 1>x</emo>", [("tag_malformed", 1)]),
        ("<emo joy=0,9>x</emo>", [("tag_malformed", 1)]),
        ("<emo>x</emo>", [("tag_without_emotion", 1)]),
        ("<emo , >x</emo>", [("tag_without_emotion", 1)]),
        ("<emo joy=>x</emo>", [("emotion_value_missing", 1)]),
        ('<emo joy="">x</emo>', [("emotion_value_missing", 1)]),
        ("<emo joy=high>x</emo>", [("emotion_not_a_number", 1)]),
        ("<emo joy=nan>x</emo>", [("emotion_not_a_number", 1)]),
        ("<emo joy=1e999>x</emo>", [("emotion_out_of_range", 1)]),
        ("<emo joy=-0.5>x</emo>", [("emotion_out_of_range", 1)]),
        ("<emo joy sadness=0.1>x</emo>", [("emotion_axis_twice", 1)]),
        ("<emo joi=1>x</emo>", [("emotion_unknown", 1)]),
        ("one <emo joy></emo> two", [("tag_empty", 5)]),
        ("one <emo joy> \n </emo> two", [("tag_empty", 5)]),
        ("<emo joy>a <emo fear>b</emo></emo>", [("tag_nested", 12)]),
        ("<emo joy><emo joy><</emo></emo>", [("tag_nested", 10)]),
        ("<emo joy>a <emo fear></emo></emo>", [("tag_nested", 12), ("tag_empty", 12)]),
        ("<emo joy>a", [("tag_not_closed", 1)]),
        ("a</emo>", [("tag_not_opened", 2)]),
        ("<emo joi>a</emo> <emo joy>b</emo> <emo>c</emo>", [("emotion_unknown", 1), ("tag_without_emotion", 35)]),
    ],
)
def test_each_mistake_is_found_once_and_in_its_place(text: str, found: list[tuple[str, int]]) -> None:
    assert [(finding.code, finding.column) for finding in read(text).findings] == found


def test_a_misspelled_name_brings_the_nearest_one() -> None:
    assert "'empathy'" in read("<emo emphaty>x</emo>").findings[0].fix


def test_a_backslash_makes_text_of_a_tag() -> None:
    reader = read(r"Write \<emo joy> and \</emo>, <emo joy>not \\<emo></emo>.")
    assert reader.findings == []
    assert reader.content == r"Write <emo joy> and </emo>, not \<emo>."
    assert [reader.content[span.start : span.end] for span in reader.spans] == [r"not \<emo>"]


def test_a_text_of_mistakes_only_is_not_searched_to_its_end() -> None:
    assert len(read("<emo>" * 100_000).findings) == MAX_FINDINGS_PER_LINE


# Tags, near misses and escapes are built from these pieces, so that hypothesis finds them.
PIECES = st.sampled_from(
    ["<", ">", "\\", "emo", "/emo", "<emo joy>", "</emo>", "<emotion", " ", "x", "joy=1", "\n", "é"]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
NO_BLANKS_IN_TAGS = TEXTS.map(lambda text: re.sub(r"<\s+", "<", text))


@given(NO_BLANKS_IN_TAGS)
def test_an_escaped_text_is_read_as_itself(text: str) -> None:
    reader = read(escape(text))
    assert (reader.content, reader.spans, reader.findings) == (text, [], [])


VALUES = st.sampled_from(["0.1", "0.5", "1", "1.0", ".25"])
POLES = st.sampled_from(DEFAULT_AXES.poles)
PLAIN = NO_BLANKS_IN_TAGS.filter(lambda text: not text.endswith(("\\", "<")) and not text.startswith(("emo", "/emo")))
PARTS = st.lists(st.tuples(PLAIN.filter(str.strip), st.none() | st.tuples(POLES, VALUES)), max_size=6)


@given(PARTS)
def test_a_text_tagged_from_known_spans_is_read_back_as_these(parts: list[tuple[str, tuple[str, str] | None]]) -> None:
    tagged, content = "", ""
    spans: list[Span] = []
    for text, emotion in parts:
        if emotion is None:
            tagged += escape(text)
        else:
            pole, value = emotion
            tagged += f"<emo {pole}={value}>{escape(text)}</emo>"
            spans.append(Span(len(content), len(content) + len(text), vector(**{pole: float(value)})))
        content += text
    reader = read(tagged)
    assert reader.findings == []
    assert (reader.content, reader.spans) == (content, spans)


@given(TEXTS)
@example("<emo joy><emo joy><</emo></emo>")
@example("<emo joy>a<emo joy>b</emo>c<emo joy>d</emo></emo>")
@example("<emo joi><emo joy>a<emo joy>b</emo></emo></emo>")
def test_whatever_a_text_is_spans_lie_in_order_within_it(text: str) -> None:
    reader = read(text)
    ends = [0]
    for span in reader.spans:
        assert ends[-1] <= span.start < span.end <= len(reader.content)
        ends.append(span.end)
