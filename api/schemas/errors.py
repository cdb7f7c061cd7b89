"""Wire models of errors."""

from typing import Any

from pydantic import Field

from api.schemas.base import Read


class FieldProblem(Read):
    """One thing wrong with a request."""

    field: str | None = Field(None, description="Dotted path of the field, such as `config.lora_rank`.")
    message: str


class ErrorInfo(Read):
    """What went wrong, and what to do."""

    code: str = Field(description="Stable code for programs.")
    message: str = Field(description="A sentence for people, with advice.")
    field: str | None = Field(None, description="The part of the request that the error is about, as a dotted path.")
    details: list[FieldProblem] | None = Field(
        None, description="All problems of the request, if there is more than one."
    )


class ErrorBody(Read):
    """The body of every error."""

    error: ErrorInfo
    report: dict[str, Any] | None = Field(
        None, description="For a dataset with bad lines: its report, each problem with its line and a fix."
    )
