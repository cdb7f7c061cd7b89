"""Previews equal the samples that a training makes.

tests/model/samples/test_light_tokenizer.py compares the batch too.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from emomodel.config import EmotionSpan
from emomodel.data.examples import read_examples
from emomodel.emotions import Axes
from emomodel.insights import preview
from emomodel.insights.preview import preview_page
from emomodel.samples.chat import ChatFormat
from emomodel.samples.dataset import IGNORED_LABEL, fit_sample, make_sample

AXES = Axes(("SADNESS_JOY", "ANGER_CALMNESS"))


def make_chat(question: str, reply: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]}


CHATS = [
    make_chat("How was it?", "<emo joy=0.9>I am happy 😀 é today.</emo> It was <emo anger=1>fine.</emo>"),
    make_chat("How was it? " * 10, "Yes."),
    make_chat("Hi", "a<tiny>b"),
    make_chat("Hi", "No."),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a byte order mark and blank lines, which are no examples."""
    path = tmp_path / "data.jsonl"
    path.write_text("\ufeff" + "\n\n".join(json.dumps(chat) for chat in CHATS) + "\n \n")
    return path


@pytest.mark.parametrize("rule", ["lead", "token"])
@pytest.mark.parametrize("max_length", [20, 1000])
def test_tokens_are_those_of_the_sample(
    path: Path, chat_format: ChatFormat, rule: EmotionSpan, max_length: int
) -> None:
    page = preview_page(path, AXES, chat_format, offset=0, limit=10, max_length=max_length, rule=rule)
    for shown, example in zip(page.examples, read_examples(path, AXES), strict=True):
        assert shown.line == example.line
        if shown.error:
            continue
        sample = make_sample(example, chat_format, AXES.neutral, rule)
        fitted = fit_sample(sample, max_length, pad_id=None, neutral=AXES.neutral)
        assert [token.id for token in shown.tokens] == fitted["input_ids"]
        assert [token.emotion for token in shown.tokens] == fitted["emotion_vectors"]
        assert [token.is_target for token in shown.tokens] == [label != IGNORED_LABEL for label in fitted["labels"]]
        assert shown.whole_token_count == len(sample["input_ids"])
        assert shown.is_truncated == (len(sample["input_ids"]) > max_length)


def test_the_texts_together_are_the_whole_text(path: Path, chat_format: ChatFormat) -> None:
    whole, cut = (
        preview_page(path, AXES, chat_format, offset=0, limit=1, max_length=max_length, rule="lead").examples[0]
        for max_length in (1000, 30)
    )
    text = "".join(token.text for token in whole.tokens)
    assert text == (
        "<bos><start_of_turn>user\nHow was it?<end_of_turn>\n<start_of_turn>model\n"
        "I am happy 😀 é today. It was fine.<end_of_turn>\n"
    )
    assert "".join(token.text for token in cut.tokens) + cut.cut_text == text
    assert (whole.cut_text, len(cut.tokens)) == ("", 30)


def test_what_a_training_leaves_out_or_refuses_is_reported(path: Path, chat_format: ChatFormat) -> None:
    page = preview_page(path, AXES, chat_format, offset=0, limit=10, max_length=30, rule="lead")
    assert [shown.is_dropped for shown in page.examples] == [False, True, False, False]
    assert [shown.line for shown in page.examples] == [1, 3, 5, 7]
    refused = page.examples[2]
    assert (refused.tokens, refused.whole_token_count) == ((), 0)
    assert refused.error == "line 5: a turn of the assistant holds the control token <tiny>; remove it"


@pytest.mark.parametrize(
    ("offset", "limit", "lines", "next_offset"),
    [(0, 2, [1, 3], 2), (2, 2, [5, 7], None), (3, 2, [7], None), (1, 1, [3], 2), (4, 2, [], None), (99, 2, [], None)],
)
def test_pages_follow_each_other(
    path: Path, chat_format: ChatFormat, offset: int, limit: int, lines: list[int], next_offset: int | None
) -> None:
    page = preview_page(path, AXES, chat_format, offset=offset, limit=limit, max_length=64, rule="lead")
    assert ([shown.line for shown in page.examples], page.next_offset) == (lines, next_offset)


def test_a_page_of_very_long_examples_ends_early(tmp_path: Path, chat_format: ChatFormat) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text((json.dumps(make_chat("Hi", "x y " * 15_000)) + "\n") * 4)
    page = preview_page(path, AXES, chat_format, offset=1, limit=3, max_length=100_000, rule="lead")
    assert len(page.examples[0].tokens) > preview.MAX_TOKENS
    assert (len(page.examples), page.next_offset) == (1, 2)
