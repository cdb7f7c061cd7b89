"""The fast reader of plain lines agrees with the exact reader: same verdict, same turns, same statistics."""

import json
import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from emomodel.data.dataset_statistics import DatasetStatistics
from emomodel.data.line_reader import LineReader
from emomodel.emotions import DEFAULT_AXES
from tests.unit.emomodel.data.mutations import ROOT, mutate

# The two readers could disagree on these strings: tags and halves of tags, control tokens, quotes, backslashes, keys.
MARKS = st.lists(
    st.sampled_from(
        [
            *(
                "<emo joy=0.9>",
                "<emo fear=0.5,trust=1>",
                "<emo sadness=2>",
                "</emo>",
                "<emo joy=0.5>yes</emo>",
                "<emo>",
            ),
            *("<b>", "</emo >", "<EMO joy>", "\\<emo", "\\", "[", "[multimodal]", "<bos>", "<|im_end|>", "emo", "<"),
            *(" ", "\t", "\u00a0", "\x00", "word and word", "\u00e9", "\U0001f600", '"', '"role"', '\\"', "\u2028"),
        ]
    )
    | st.text(max_size=3),
    max_size=6,
).map("".join)
GOOD_TEXTS = st.sampled_from(
    [
        *("Good morning.", "\u00e9\U0001f600 [so]", 'He said "role"', "a \\ b", "a < b", "<b>bold</b>", "x\u2028y\x00"),
        *("<emo joy=0.9>Yes.</emo>", "Oh <emo fear=0.5,trust>dear</emo>, <emo joy=0>well</emo> ", "tail\\"),
        *(
            "<emo joy>a</emo><emo trust=.5> b</emo>\t",
            "<emo joy>a</emo> < b",
            "\\<emo joy>",
            "[multimodal <emo joy>]</emo>",
        ),
    ]
)
TEXTS = st.one_of(*[GOOD_TEXTS] * 12, MARKS)
NUMBERS = st.sampled_from([0, 1, 0.5, -0.0, -1, 1.5, True, None, "1", 10**400, 0.1, 1e-320]) | st.floats(-1, 1)
NAMES = st.sampled_from(["joy", "sadness", "Fear", "sadness_joy", "trust", "glee", "joy:", "\u0131"])
GOOD_EMOTIONS = st.dictionaries(
    st.sampled_from(["joy", "Fear", "trust"]), st.floats(0, 1) | st.integers(0, 1), max_size=3
) | st.lists(st.floats(-1, 1), min_size=8, max_size=8)
BAD_EMOTIONS: st.SearchStrategy[Any] = (
    st.dictionaries(NAMES, NUMBERS, max_size=3)
    | st.lists(NUMBERS, min_size=8, max_size=8)
    | st.sampled_from([None, 1, "joy", [], [0.5] * 7, {}])
)
EMOTIONS: st.SearchStrategy[Any] = st.one_of(*[GOOD_EMOTIONS] * 6, BAD_EMOTIONS)
EXTRAS = GOOD_TEXTS | st.integers() | st.floats() | NUMBERS | st.sampled_from([[], {}, {"a": 1}])
MESSAGES = st.fixed_dictionaries(
    {"content": TEXTS},
    optional={"emotion": EMOTIONS, "weight": st.sampled_from([*[0, 1] * 5, 1.0, True, None, 2]), "name": EXTRAS},
)


@st.composite
def chats(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw messages, which mostly have the order of a chat."""
    roles = draw(st.sampled_from([["user", "assistant"], ["system", "user", "assistant"], ["user", "model"]]))
    messages = draw(st.lists(MESSAGES, min_size=len(roles), max_size=len(roles)))
    if not draw(st.integers(0, 5)):
        roles = draw(st.permutations([*roles, "user", "model"]))
        messages += draw(st.lists(MESSAGES, min_size=2, max_size=2))
    return [{"role": role, **message} for role, message in zip(roles, messages, strict=True)]


LINES = st.builds(
    lambda document, ascii_only: json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"),
    st.fixed_dictionaries({"messages": chats()}, optional={"emotion": EMOTIONS, "id": EXTRAS, "text": EXTRAS}),
    st.booleans(),
)


def assert_agreement(line: bytes) -> bool:
    """Return whether the fast reader takes the line; if so, assert that it reads what the exact reader reads."""
    reader, exact_reader = LineReader(DEFAULT_AXES), LineReader(DEFAULT_AXES)
    # The fast reader takes lines with other keys once it has seen those keys.
    exact_reader.read_exactly(line)
    reader.read_exactly(line)
    plain = reader.read_plain(line)
    if plain is None:
        assert reader.ignored.counts == exact_reader.ignored.counts
        return False
    turns, findings = exact_reader.read_exactly(line)
    assert findings == []
    assert repr(plain) == repr(turns)
    assert reader.ignored.counts == exact_reader.ignored.counts
    shortcut, exact = DatasetStatistics(DEFAULT_AXES), DatasetStatistics(DEFAULT_AXES)
    shortcut.add(1, line, plain)
    exact.add(1, line, turns)
    assert (shortcut.coverage(), shortcut.warnings()) == (exact.coverage(), exact.warnings())
    return True


@settings(max_examples=400)
@given(LINES)
@example(b'{"messages":[{"role":"user","role":"user","content":"a"},{"role":"assistant","content":"b"}]}')
@example(b'{"messages":[{"role":"user","r\\u006fle":"user","content":"a"},{"role":"assistant","content":"b"}]}')
@example(b'{"messages":[{"role":"user","role":"user","content":"a\\\\"},{"role":"assistant","content":"\\"\\\\"}]}')
@example(b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","emotion":{"joy":1,"joy":0}}]}')
@example(b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"\\ud83d"}]}')
@example(b'{"id":1,"id":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}')
@example(b'{"id":%s,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}' % (b"1" * 5000))
@example(b'{"id":1e999,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}')
@example(b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0}]}')
def test_lines_are_read_alike(line: bytes) -> None:
    assert_agreement(line)


@given(LINES, st.randoms(use_true_random=False))
def test_broken_lines_are_read_alike(line: bytes, random: Any) -> None:
    assert_agreement(mutate(line, random))


@given(st.floats(allow_nan=False) | st.integers(), st.sampled_from(["%s", "%sE0", "%s0", "-%s"]))
def test_numbers_are_read_alike(number: float, form: str) -> None:
    text = (form % number).encode()
    line = (
        b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","emotion":{"sadness_joy":%s}}]}'
    )
    assert_agreement(line % text)


def test_usual_lines_take_the_shortcut() -> None:
    samples = (ROOT / "samples" / "chats.jsonl").read_bytes().splitlines()
    assert all(assert_agreement(line) for line in samples[::4])
    question, reply = (
        b'{"role":"user","content":"a <b> [c]"}',
        b'{"role":"model","content":"<emo joy,fear=.5>b</emo> c"}',
    )
    ignored = b'{"role":"assistant","content":"b","weight":0,"emotion":[1,0,0,0,0,0,0,0]}'
    lines = [
        b'{"messages":[%s,%s]}\r' % (question, reply),
        b'{"messages":[{"role":"system","content":"s"},%s,%s]}' % (question, reply),
        b'{"messages":[%s,%s,%s,%s],"emotion":{"fear":0.123456789}}' % (question, ignored, question, reply),
        b'{"id":"x","messages":[%s,{"name":7,"role":"assistant","content":"b"}],"score":-1.5}' % question,
        b' {"messages": [{"content": "\\u00fcber \\"x\\"", "role": "user"}, {"role": "assistant", "content": "b"}]}',
    ]
    assert all(assert_agreement(line) for line in lines)


def test_intensities_are_summed_exactly() -> None:
    statistics = DatasetStatistics(DEFAULT_AXES)
    emotions = [DEFAULT_AXES.vector({"joy": index / 9999}) for index in range(10_000)]
    for number, emotion in enumerate(emotions):
        statistics.add(number, b"%d" % number, [("assistant", "word", emotion, (), True)])
    joy = statistics.coverage().poles["joy"]
    assert (joy.segment_count, statistics.coverage().neutral_count) == (9999, 1)
    assert joy.mean_intensity == round(math.fsum(emotion[0] for emotion in emotions) / 9999, 4)
