"""TokenReport: what a dataset holds, counted in the tokens of a base model."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

InsightCode = Literal[
    "example_refused",
    "example_dropped",
    "example_truncated",
    "duplicate_example",
    "near_duplicate",
    "no_emotion",
    "axis_unused",
    "pole_unused",
    "poles_unbalanced",
    "intensity_constant",
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Insight(_Part):
    """Something that the dataset's owner should know before a training."""

    code: InsightCode
    message: str
    advice: str
    count: int
    lines: tuple[int, ...] = Field((), description="The first few lines that it concerns.")


class Bin(_Part):
    """A bin of a histogram: the count of whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    count: int


class Distribution(_Part):
    """The distribution of a whole number per example. Percentiles are by nearest rank."""

    total: int
    mean: float
    p50: int
    p95: int
    max: int
    histogram: tuple[Bin, ...] = Field(description="Each bin but the first is twice as wide as the one before it.")


class LineList(_Part):
    """How many examples something applies to, and the lines of the first few."""

    count: int
    lines: tuple[int, ...]


class LinePair(_Part):
    """A line, and the earlier line that is like it."""

    line: int
    like_line: int


class Likeness(_Part):
    """How many examples are like an earlier one, and the first few pairs."""

    count: int
    pairs: tuple[LinePair, ...]


class BatchingShares(_Part):
    """The share of tokens, rather than padding, in all positions of a pass over the dataset."""

    batch_size: int = Field(description="The batch size that the shares are for, the default of TrainConfig.")
    fixed: float
    dynamic: float = Field(description="With examples of similar length in each batch, as by default.")
    packed: float = Field(description="With rows of one length, as on CUDA; on a CPU packed rows have no padding.")


class PoleTokens(_Part):
    """One pole in the tokens that are learned."""

    segment_count: int
    token_count: int
    token_share: float = Field(description="Share of all tokens that are learned.")
    mean_intensity: float = Field(description="Mean over the segments, in (0, 1]; 0 if the pole never occurs.")
    histogram: tuple[int, ...] = Field(description="Segments by intensity: up to 0.1, up to 0.2, ..., up to 1.")


class EmotionTokens(_Part):
    """The emotions of the tokens that are learned. A segment is a stretch of one reply under one emotion."""

    segment_count: int
    neutral_segment_count: int
    neutral_token_count: int
    poles: dict[str, PoleTokens] = Field(description="Every pole, in the order of the axes, negative first.")
    co_occurrence: tuple[tuple[int, ...], ...] = Field(
        description="How many segments have both poles: a row and a column per pole, in the order of `poles`."
    )


class TokenReport(_Part):
    """Statistics by token_statistics.py. What is cut off at `max_length` counts in `token_count_by_example` only."""

    max_length: int
    example_count: int
    turn_count: int = Field(description="Messages of any role.")
    character_count: int = Field(description="Of all messages, without tags.")
    token_count_by_example: Distribution = Field(description="Uncut examples, including the template's tokens.")
    target_count_by_example: Distribution = Field(description="Tokens that are learned, in examples after the cut.")
    truncated: LineList = Field(description="Examples longer than max_length, which are cut there.")
    dropped: LineList = Field(description="Examples with no reply within max_length, which are left out.")
    refused: LineList = Field(description="Examples that don't fit the base model's chat format; a job would fail.")
    real_token_share: BatchingShares
    duplicates: Likeness = Field(description="Examples with the same turns and emotions as an earlier one.")
    near_duplicates: Likeness = Field(
        description="Examples with nearly the same words as an earlier one, or the same with other emotions."
    )
    scripts: dict[str, float] = Field(description="The share of letters of each script, the most common first.")
    emotions: EmotionTokens
    warnings: tuple[Insight, ...]
