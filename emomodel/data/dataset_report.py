"""DatasetReport: what a dataset holds, and its problems and warnings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from emomodel.data.problems import Problem

WarningCode = Literal["duplicate_line", "short_reply", "no_emotion", "axis_unused", "pole_unused"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetWarning(_Part):
    """Something that makes a dataset worse, but not invalid."""

    code: WarningCode
    message: str
    advice: str
    count: int
    lines: tuple[int, ...] = Field((), description="The first few lines that it concerns.")


class PoleCoverage(_Part):
    """How often and how strongly one pole occurs."""

    segment_count: int
    mean_intensity: float = Field(description="In (0, 1]; 0 if the pole never occurs.")


class EmotionCoverage(_Part):
    """The emotions of the replies to be learned. A segment is a stretch of one reply under one emotion."""

    segment_count: int
    neutral_count: int
    poles: dict[str, PoleCoverage] = Field(description="Every pole, in the order of the axes, negative first.")


class DatasetReport(_Part):
    """The result of DatasetValidator. It counts valid examples only; `line_count` counts all lines or records."""

    line_count: int
    example_count: int
    turn_count: int = Field(description="Messages of any role.")
    target_count: int = Field(description="Assistant messages that the model learns.")
    character_count: int = Field(description="The characters of all messages, without tags.")
    longest_character_count: int | None = Field(
        None, description="The characters of the longest example, without tags."
    )
    problems: tuple[Problem, ...] = Field(description="The first ones, in the order of the file.")
    problem_count: int
    problem_counts: dict[str, int] = Field(description="The number of problems by code, including those not listed.")
    warnings: tuple[DatasetWarning, ...]
    ignored_keys: dict[str, int] = Field(description="Keys without a meaning in a dataset, and how often each occurs.")
    emotions: EmotionCoverage

    @property
    def ok(self) -> bool:
        """Whether the dataset can be used; warnings don't prevent it."""
        return self.problem_count == 0
