"""TokenReport: what a dataset holds in the tokens of a base model."""

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
    """Whole numbers from `low` to `high`, both included."""

    low: int
    high: int
    count: int


class Distribution(_Part):
    """Whole numbers, one per example. Percentiles are by nearest rank."""

    total: int
    mean: float
    p50: int
    p95: int
    max: int
    histogram: tuple[Bin, ...] = Field(description="Each bin but the first is twice as wide as the one before it.")


class LineList(_Part):
    """Examples, and the lines of the first few."""

    count: int
    lines: tuple[int, ...]


class LinePair(_Part):
    """A line, and the earlier line that it is like."""

    line: int
    like_line: int


class Likeness(_Part):
    """Examples that are like an earlier one, and the first few of them."""

    count: int
    pairs: tuple[LinePair, ...]


class BatchingShares(_Part):
    """Of all positions that a pass over the dataset takes, the share that are tokens and no padding."""

    batch_size: int = Field(description="Examples per batch, the default of TrainConfig; the shares are for it.")
    fixed: float
    dynamic: float = Field(description="With examples of like length in a batch, as by default.")
    packed: float = Field(description="In rows of one length, as on CUDA; elsewhere rows have no padding at all.")


class PoleTokens(_Part):
    """One pole in the tokens that are learnt."""

    segment_count: int
    token_count: int
    token_share: float = Field(description="Of all tokens that are learnt.")
    mean_intensity: float = Field(description="Per segment, in (0, 1]; 0 where the pole never occurs.")
    histogram: tuple[int, ...] = Field(description="Segments by intensity: up to 0.1, up to 0.2, ..., up to 1.")


class EmotionTokens(_Part):
    """The emotions of the tokens that are learnt. A segment is a stretch of one reply under one emotion."""

    segment_count: int
    neutral_segment_count: int
    neutral_token_count: int
    poles: dict[str, PoleTokens] = Field(description="Every pole, in the order of the axes, negative first.")
    co_occurrence: tuple[tuple[int, ...], ...] = Field(
        description="Segments that have both poles, a row and a column per pole in the order of `poles`."
    )


class TokenReport(_Part):
    """Made by token_statistics.py. What is cut off at `max_length` counts in `token_count_by_example` alone."""

    max_length: int
    example_count: int
    turn_count: int = Field(description="Messages of any role.")
    character_count: int = Field(description="Of all messages, without tags.")
    token_count_by_example: Distribution = Field(description="Whole examples, the template's tokens included.")
    target_count_by_example: Distribution = Field(description="Tokens that are learnt, of examples as they are cut.")
    truncated: LineList = Field(description="Examples longer than max_length, which are cut there.")
    dropped: LineList = Field(description="Examples with no reply within max_length, which are left out.")
    refused: LineList = Field(description="Examples that the base model's chat format can't hold; a job would fail.")
    real_token_share: BatchingShares
    duplicates: Likeness = Field(description="The same turns with the same emotions.")
    near_duplicates: Likeness = Field(description="Nearly the same words, or the same with other emotions.")
    scripts: dict[str, float] = Field(description="Share of the letters by script, the commonest first.")
    emotions: EmotionTokens
    warnings: tuple[Insight, ...]
