"""The problems that a dataset can have: their codes, findings, and the errors that carry them."""

from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from emomodel.errors import EmomodelError

# docs/data-format.md explains each code; a test compares the two lists.
ProblemCode = Literal[
    "file_empty",
    "format_not_jsonl",
    "compressed_damaged",
    "columns_missing",
    "column_twice",
    "csv_row_broken",
    "parquet_unreadable",
    "parquet_too_large",
    "json_array_broken",
    "label_unknown",
    "lines_too_many",
    "line_too_long",
    "not_utf8",
    "json_invalid",
    "json_key_twice",
    "json_not_finite",
    "json_surrogate",
    "example_not_object",
    "messages_missing",
    "messages_not_list",
    "messages_empty",
    "message_not_object",
    "role_missing",
    "role_unknown",
    "role_order",
    "user_missing",
    "assistant_missing",
    "assistant_not_last",
    "target_missing",
    "weight_invalid",
    "content_missing",
    "content_not_text",
    "content_empty",
    "control_token",
    "tag_malformed",
    "tag_without_emotion",
    "tag_empty",
    "tag_nested",
    "tag_not_closed",
    "tag_not_opened",
    "emotion_not_object",
    "emotion_unknown",
    "emotion_value_missing",
    "emotion_not_a_number",
    "emotion_out_of_range",
    "emotion_axis_twice",
    "emotion_vector_length",
]

# Limits the memory for a line that is full of mistakes; further ones in it are not reported.
MAX_FINDINGS_PER_LINE = 100

_QUOTE_LENGTH = 60


class Finding(NamedTuple):
    """One thing wrong in a line. `column` counts characters from 1, in `field` if there is one, else in the line."""

    code: ProblemCode
    message: str
    fix: str
    field: str | None = None
    column: int | None = None


class Problem(BaseModel):
    """One thing wrong in a dataset, with its place and how to correct it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: int = Field(description="Counted from 1, blank lines included.")
    field: str | None = Field(description="The place in the line's object, such as `messages[1].content`.")
    column: int | None = Field(
        description="Characters from 1: in the text of `field` if that is given, else in the line."
    )
    code: ProblemCode
    message: str
    fix: str

    def __str__(self) -> str:
        column = "" if self.column is None else f", column {self.column}"
        field = "" if self.field is None else f", {self.field}"
        return f"line {self.line}{field}{column}: {self.message}. {self.fix}"


class ExampleError(EmomodelError):
    """A dataset can't be used as it is; `problems` lists why."""

    code = "dataset_invalid"

    def __init__(self, message: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(message)
        self.problems = problems


class ExampleInvalid(ExampleError):
    """A line is not an example."""

    code = "example_invalid"


class LinesInvalid(ExampleError):
    """A file holds a line that is not an example."""


def problem_at(line: int, finding: Finding) -> Problem:
    """The problem that a finding is on line `line`."""
    return Problem(
        line=line,
        field=finding.field,
        column=finding.column,
        code=finding.code,
        message=finding.message,
        fix=finding.fix,
    )


def quote(text: str) -> str:
    """Text from a user's file in quotes, cut to a length that fits a message."""
    return repr(text if len(text) <= _QUOTE_LENGTH else text[: _QUOTE_LENGTH - 3] + "...")
