"""Example -> sample: input_ids, attention_mask, emotion_vectors and labels, lists with one entry per token.

`lay_emotions` is the rule for which input position carries which emotion; training and generation both use it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from emomodel.config import EmotionSpan
from emomodel.data.examples import Example
from emomodel.emotions import EmotionVector
from emomodel.errors import DatasetRefused
from emomodel.samples.chat import ChatFormat, TokenisedChat
from emomodel.samples.chat_text import ChatError

# The loss ignores positions with this label (a convention of PyTorch and transformers).
IGNORED_LABEL = -100


class Sample(TypedDict):
    """One example as model input: lists of T tokens; `emotion_vectors` has T vectors with one number per axis."""

    input_ids: list[int]
    attention_mask: list[int]
    emotion_vectors: list[EmotionVector]
    labels: list[int]


@dataclass
class Samples:
    """The samples of a dataset. The examples of `dropped_lines` had no target within max_length and are left out."""

    samples: list[Sample] = field(default_factory=list)
    truncated_count: int = 0
    dropped_lines: list[int] = field(default_factory=list)

    @property
    def target_token_count(self) -> int:
        """Tokens that count in the loss, in one pass over the dataset."""
        return sum(label != IGNORED_LABEL for sample in self.samples for label in sample["labels"])

    @property
    def token_count(self) -> int:
        """Tokens in one pass over the dataset, without padding."""
        return sum(sum(sample["attention_mask"]) for sample in self.samples)


def lay_emotions(
    own: Sequence[EmotionVector | None], is_reply: Sequence[bool], neutral: EmotionVector, rule: EmotionSpan
) -> list[EmotionVector]:
    """The emotion vector that each input position carries.

    `own` and `is_reply` have one entry per token. `own` is the token's own emotion, or None: replies always have one,
    other turns only if one was given. With the rule `token`, a position carries its token's own emotion, or neutral.
    With the rule `lead`, since a causal model predicts a token at the position before it:

    1. A position before a token of a reply carries that token's emotion. So a reply's first token, a span's first
       token and the end of the turn are all predicted under their own emotion.
    2. Otherwise, a token outside replies that has its own emotion carries it: the model sees the user's emotion there.
    3. Otherwise, the position carries the first emotion of the next reply, as all of a prompt does, from the end of the
       previous reply. After the last reply it is neutral.
    """
    if rule == "token":
        return [neutral if emotion is None else emotion for emotion in own]
    vectors: list[EmotionVector] = []
    coming = neutral
    leads_to_reply = False
    following: EmotionVector | None = None
    for emotion, reply in zip(reversed(own), reversed(is_reply), strict=True):
        carried = following if leads_to_reply else emotion if not reply else None
        vectors.append(coming if carried is None else carried)
        if reply and emotion is not None:
            coming = emotion
        leads_to_reply, following = reply, emotion
    vectors.reverse()
    return vectors


def tokenise_example(example: Example, chat_format: ChatFormat) -> TokenisedChat:
    """Tokenise an example. Raises DatasetRefused, which names the line."""
    try:
        return chat_format.tokenise(example.turns)
    except ChatError as error:
        raise DatasetRefused(f"line {example.line}: {error}") from error


def lay_sample(chat: TokenisedChat, neutral: EmotionVector, rule: EmotionSpan) -> Sample:
    """The sample of a tokenised example, at its full length."""
    return Sample(
        input_ids=chat.input_ids,
        attention_mask=[1] * len(chat.input_ids),
        emotion_vectors=lay_emotions(chat.own, chat.is_reply, neutral, rule),
        labels=[
            token_id if is_target else IGNORED_LABEL
            for token_id, is_target in zip(chat.input_ids, chat.is_target, strict=True)
        ],
    )


def make_sample(example: Example, chat_format: ChatFormat, neutral: EmotionVector, rule: EmotionSpan) -> Sample:
    """The sample of an example, at its full length. Raises DatasetRefused, which names the line."""
    return lay_sample(tokenise_example(example, chat_format), neutral, rule)


def fit_sample(sample: Sample, max_length: int, *, pad_id: int | None, neutral: EmotionVector) -> Sample:
    """The sample, cut to `max_length` tokens and, with `pad_id`, padded at its end to exactly that length."""
    missing = 0 if pad_id is None else max(max_length - len(sample["input_ids"]), 0)
    return Sample(
        input_ids=sample["input_ids"][:max_length] + [pad_id or 0] * missing,
        attention_mask=sample["attention_mask"][:max_length] + [0] * missing,
        emotion_vectors=sample["emotion_vectors"][:max_length] + [neutral] * missing,
        labels=sample["labels"][:max_length] + [IGNORED_LABEL] * missing,
    )


def make_samples(
    examples: Iterable[Example],
    chat_format: ChatFormat,
    *,
    neutral: EmotionVector,
    rule: EmotionSpan,
    max_length: int,
    fixed_pad_id: int | None = None,
) -> Samples:
    """Samples of at most `max_length` tokens, or of exactly that many with `fixed_pad_id`. Raises DatasetRefused."""
    made = Samples()
    for example in examples:
        whole = make_sample(example, chat_format, neutral, rule)
        sample = fit_sample(whole, max_length, pad_id=fixed_pad_id, neutral=neutral)
        made.truncated_count += len(whole["input_ids"]) > max_length
        if count_targets(sample):
            made.samples.append(sample)
        else:
            made.dropped_lines.append(example.line)
    return made


def count_targets(sample: Sample) -> int:
    """The number of labels that count in the loss. The first never does, as no position before it predicts it."""
    return sum(label != IGNORED_LABEL for label in sample["labels"][1:])
