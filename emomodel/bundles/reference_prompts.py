"""The reference prompts of a bundle, and what its model answered when it was made: `reference.json`.

Every bundle has the same prompts, with emotions along its own axes. An answer is a sample of the logits at a few
positions. It is compact and can be compared within a tolerance, while a hash of floats differs on every machine.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, ValidationError, model_validator

from emomodel.bundles.manifest import Manifest, NotABundle
from emomodel.data.drafts import Span
from emomodel.data.examples import Turn
from emomodel.emotions import Axes, EmotionVector

REFERENCE_FILE = "reference.json"

_QUESTION = "How was your day, and what will you do tomorrow?"
_PARTS = ("It was a day that I will remember.", " Tomorrow we shall see.")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Precision(_Part):
    """How a model computes: the type of its activations, and whether its weights are in 4 bits (nf4)."""

    dtype: Literal["bfloat16", "float16", "float32"]
    in_4bit: bool

    def __str__(self) -> str:
        return f"{self.dtype} with 4-bit weights" if self.in_4bit else self.dtype


class ReplyPart(_Part):
    """A part of a reply: its text, and its emotion by the names of poles."""

    text: Annotated[str, Field(pattern=r"\S")]
    emotion: dict[str, float]


class Answer(_Part):
    """A sample of the logits at one position, in nats.

    `log_probabilities` belong to the likeliest tokens, `top_ids`. `logits` belong to the Reference's `sample_ids`, less
    the mean over the vocabulary. `spread` is the standard deviation of the logits over the vocabulary.
    """

    position: NonNegativeInt
    top_ids: list[NonNegativeInt]
    log_probabilities: list[float]
    logits: list[float]
    spread: PositiveFloat

    @model_validator(mode="after")
    def _has_a_number_for_each_token(self) -> Self:
        if len(self.top_ids) != len(self.log_probabilities):
            raise ValueError("top_ids and log_probabilities differ in length")
        return self


class ReferencePrompt(_Part):
    """A question, its reply, and the model's answers. `effect` is how far the base model alone is from them."""

    name: str
    question: str
    reply: Annotated[tuple[ReplyPart, ...], Field(min_length=1)]
    input_ids: Annotated[list[NonNegativeInt], Field(min_length=1)]
    answers: Annotated[list[Answer], Field(min_length=1)]
    effect: float

    @model_validator(mode="after")
    def _positions_are_within_the_prompt(self) -> Self:
        if any(answer.position >= len(self.input_ids) for answer in self.answers):
            raise ValueError("an answer is for a position beyond input_ids")
        return self

    def make_turns(self, axes: Axes) -> tuple[Turn, Turn]:
        """The prompt as a chat of two turns. Raises EmotionError when a name is not one of `axes`."""
        return make_turns(self.question, self.reply, axes)


class Reference(_Part):
    """The content of `reference.json`. `sample_ids` are the tokens whose logits each answer keeps."""

    precision: Precision
    device: str
    sample_ids: Annotated[list[NonNegativeInt], Field(min_length=1)]
    prompts: Annotated[list[ReferencePrompt], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_a_logit_for_each_sampled_token(self) -> Self:
        answers = (answer for prompt in self.prompts for answer in prompt.answers)
        if any(len(answer.logits) != len(self.sample_ids) for answer in answers):
            raise ValueError("an answer has another number of logits than sample_ids")
        return self


def read_reference(folder: Path, manifest: Manifest) -> Reference | None:
    """Read the reference of a bundle in `folder`; None if it has none. Raises NotABundle for a broken file."""
    if REFERENCE_FILE not in manifest.files:
        return None
    try:
        return Reference.model_validate_json((folder / REFERENCE_FILE).read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"{part}: " for part in first["loc"])
        raise NotABundle(f"{REFERENCE_FILE} can't be read: {field}{first['msg']}") from error


def make_turns(question: str, reply: Sequence[ReplyPart], axes: Axes) -> tuple[Turn, Turn]:
    """A chat of a neutral question and a reply whose parts have one emotion each. Raises EmotionError."""
    spans: list[Span] = []
    content = ""
    for part in reply:
        spans.append(Span(len(content), len(content) + len(part.text), axes.vector(part.emotion)))
        content += part.text
    return Turn("user", question, axes.neutral), Turn("assistant", content, axes.neutral, tuple(spans))


def make_prompts(axes: Axes) -> dict[str, tuple[str, tuple[ReplyPart, ...]]]:
    """The question and reply of each reference prompt, by its name. Together they use every axis."""
    negative, positive = axes.poles[:2]
    chosen = {
        "neutral": ({}, {}),
        positive: ({positive: 1.0}, {positive: 1.0}),
        negative: ({negative: 1.0}, {negative: 1.0}),
        f"{negative} -> {positive}": ({negative: 1.0}, {positive: 1.0}),
        "all axes": (axes.describe(_blend(axes)), axes.describe(_blend(axes))),
    }
    return {
        name: (
            _QUESTION,
            tuple(ReplyPart(text=text, emotion=each) for text, each in zip(_PARTS, emotions, strict=True)),
        )
        for name, emotions in chosen.items()
    }


def _blend(axes: Axes) -> EmotionVector:
    """An emotion with another value on each axis, so that exchanged or wrong axes give another emotion."""
    return tuple((-1.0) ** index * (1.0 - 0.7 * index / len(axes)) for index in range(len(axes)))
