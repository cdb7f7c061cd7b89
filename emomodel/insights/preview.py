"""Examples as the model will see them: each token with its text, the emotion at its position, and whether it is learnt.

It makes samples by the functions that the training makes them by (emomodel.samples.dataset).
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

# An answer of a few megabytes at most, however long the examples are; a page that reaches it ends early.
MAX_TOKENS = 50_000
# Enough to see where a text was cut.
_CUT_CHARACTERS = 200


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PreviewToken(_Part):
    """One input position."""

    id: int
    text: str = Field(
        description="The texts of all tokens together are the example's; of the tokens of one character, the first has "
        "it and the others have none."
    )
    emotion: EmotionVector = Field(description="What the position carries after the rule, a number per axis.")
    is_target: bool = Field(description="Whether the token is learnt; else it is masked.")


class PreviewExample(_Part):
    """One example as a training takes it."""

    line: int
    tokens: tuple[PreviewToken, ...]
    is_truncated: bool
    is_dropped: bool = Field(description="No target is left within max_length: a training leaves the example out.")
    whole_token_count: int
    cut_text: str = Field(description="The beginning of what is cut off at max_length; empty where nothing is.")
    error: str | None = Field(description="Why the base model's chat format can't hold it; a job would fail.")


@dataclass(frozen=True)
class PreviewPage:
    """Some examples in the file's order, and at which to go on; None at the end."""

    examples: list[PreviewExample]
    next_offset: int | None


def preview_page(
    path: Path, axes: Axes, chat_format: ChatFormat, *, offset: int, limit: int, max_length: int, rule: EmotionSpan
) -> PreviewPage:
    """At most `limit` examples from number `offset`, counted from 0. Raises OSError, ExampleInvalid."""
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
    """The examples from number `offset` on. Those before it are not read: each line that isn't blank is one."""
    with path.open("rb") as file:
        numbered = ((number, line) for number, line in enumerate(file, start=1) if line.strip(BLANK_BYTES))
        for number, line in islice(numbered, offset, None):
            yield parse_example(line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line, number, axes)
