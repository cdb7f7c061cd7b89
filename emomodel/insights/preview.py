"""Examples as the model sees them: each token with its text, its position's emotion, and whether it is learned.

The samples are made by the functions that a training uses (emomodel.samples.dataset).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from emomodel.config import EmotionSpan
from emomodel.data.examples import BLANK_BYTES, BYTE_ORDER_MARK, Example, parse_example
from emomodel.emotions import Axes, EmotionVector
from emomodel.errors import DatasetRefused
from emomodel.samples.chat import ChatFormat, TokenisedChat
from emomodel.samples.dataset import IGNORED_LABEL, Sample, count_targets, fit_sample, lay_sample, tokenise_example

# Keeps a page to a few megabytes however long the examples are: one that reaches this many tokens ends early.
MAX_TOKENS = 50_000
# Enough to show where a text was cut.
_CUT_CHARACTERS = 200


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PreviewToken(_Part):
    """One input position of an example."""

    id: int
    text: str = Field(
        description="The texts of all tokens together are the example's text; if several tokens make up one character, "
        "the first has it and the others are empty."
    )
    emotion: EmotionVector = Field(
        description="The emotion that the position carries by `emotion_span`, one number per axis."
    )
    is_target: bool = Field(description="Whether the token is learned; otherwise it is masked.")


class PreviewExample(_Part):
    """One example as a training uses it."""

    line: int
    tokens: tuple[PreviewToken, ...]
    is_truncated: bool
    is_dropped: bool = Field(
        description="The example has no token to learn within max_length, so a training leaves it out."
    )
    whole_token_count: int
    cut_text: str = Field(description="The beginning of what is cut off at max_length; empty if nothing is.")
    error: str | None = Field(description="Why the example doesn't fit the base model's chat format; a job would fail.")


@dataclass(frozen=True)
class PreviewPage:
    """Some examples in the file's order. `next_offset` is the offset of the next page, or None at the end."""

    examples: list[PreviewExample]
    next_offset: int | None


def preview_page(
    path: Path, axes: Axes, chat_format: ChatFormat, *, offset: int, limit: int, max_length: int, rule: EmotionSpan
) -> PreviewPage:
    """A page of at most `limit` examples, from number `offset` on, counted from 0. Raises OSError, ExampleInvalid."""
    shown: list[PreviewExample] = []
    token_count = 0
    for example in islice(_read_from(path, axes, offset), limit + 1):
        if len(shown) == limit or token_count >= MAX_TOKENS:
            return PreviewPage(shown, offset + len(shown))
        shown.append(preview_example(example, axes, chat_format, max_length=max_length, rule=rule))
        token_count += len(shown[-1].tokens)
    return PreviewPage(shown, None)


def preview_example(
    example: Example, axes: Axes, chat_format: ChatFormat, *, max_length: int, rule: EmotionSpan
) -> PreviewExample:
    """One example as a training would use it; `error` is set if it can't be used."""
    try:
        chat = tokenise_example(example, chat_format)
    except DatasetRefused as error:
        return PreviewExample(
            line=example.line,
            tokens=(),
            is_truncated=False,
            is_dropped=False,
            whole_token_count=0,
            cut_text="",
            error=str(error),
        )
    sample = fit_sample(lay_sample(chat, axes.neutral, rule), max_length, pad_id=None, neutral=axes.neutral)
    kept, whole = len(sample["input_ids"]), len(chat.input_ids)
    cut_at = chat.offsets[kept - 1][1] if kept < whole else len(chat.text)
    return PreviewExample(
        line=example.line,
        tokens=tuple(_list_tokens(chat, sample)),
        is_truncated=kept < whole,
        is_dropped=not count_targets(sample),
        whole_token_count=whole,
        cut_text=chat.text[cut_at : cut_at + _CUT_CHARACTERS],
        error=None,
    )


def _list_tokens(chat: TokenisedChat, sample: Sample) -> Iterator[PreviewToken]:
    shown_to = 0
    rows = zip(sample["input_ids"], sample["emotion_vectors"], sample["labels"], strict=True)
    for (token_id, emotion, label), (_, end) in zip(rows, chat.offsets, strict=False):
        text = chat.text[shown_to:end]
        shown_to = max(shown_to, end)
        yield PreviewToken(id=token_id, text=text, emotion=emotion, is_target=label != IGNORED_LABEL)


def _read_from(path: Path, axes: Axes, offset: int) -> Iterator[Example]:
    """The examples from number `offset` on. Earlier ones are skipped unread: each line that isn't blank is one."""
    with path.open("rb") as file:
        numbered = ((number, line) for number, line in enumerate(file, start=1) if line.strip(BLANK_BYTES))
        for number, line in islice(numbered, offset, None):
            yield parse_example(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line, number, axes)
