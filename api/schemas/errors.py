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

    code: str = Field(description="Stable word for programs.")
    message: str = Field(description="A sentence for people, with advice.")
    field: str | None = Field(None, description="What part of the request it is about: a dotted path.")
    details: list[FieldProblem] | None = Field(
        None, description="All that is wrong with the request, when there is more than the one above."
    )


class ErrorBody(Read):
    """The one shape of every error."""

    error: ErrorInfo
    report: dict[str, Any] | None = Field(
        None, description="Of a dataset with bad lines: the report, each problem with its line and a fix."
    )
