"""Describes what is wrong with a request: Pydantic's findings, with the field's name and advice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from api.schemas.errors import FieldProblem
from api.schemas.jobs import JobCreate
from api.spelling import suggest
from emomodel.config import TrainConfig

# Advice for fields where Pydantic could only quote a regular expression.
_AFTER_ADVICE = "is not a cursor of this feed; give the `cursor` of the last item you have"
_FORM_ADVICE: Mapping[str, str] = {
    "cursor": "is not a cursor; send the `next_cursor` of the previous page",
    "after": _AFTER_ADVICE,
    "Last-Event-ID": _AFTER_ADVICE,
    "dataset_id": "should be an id that `POST /datasets` returned: ds_...",
    "name": "contains control characters, such as a line break; remove them",
    "Idempotency-Key": "should consist of visible ASCII characters, without spaces",
}


def read_problem(problem: Mapping[str, Any]) -> FieldProblem:
    """Describe one of Pydantic's findings, with the field's name in place of "Input", and with advice."""
    kind, place = problem["type"], problem["loc"][1:]
    field = ".".join(map(str, place))
    if kind == "json_invalid":
        reason, position = problem["ctx"]["error"], problem["loc"][-1]
        return FieldProblem(field=None, message=f"The body is not JSON: {reason}, at character {position}.")
    if not place:
        return FieldProblem(
            field=None,
            message="The body should be a JSON object, sent with `Content-Type: application/json`.",
        )
    if kind == "unknown_parameter":
        return FieldProblem(field=field, message=problem["msg"])
    return FieldProblem(field=field, message=_describe(problem, place, field))


def _describe(problem: Mapping[str, Any], place: Sequence[str | int], field: str) -> str:
    kind, given = problem["type"], problem.get("input")
    if kind == "missing":
        return f"`{field}` is missing; it is required."
    if kind == "extra_forbidden":
        return f"`{field}` is not a known field; {_suggest(place)}"
    if kind == "finite_number" or (isinstance(given, float) and not math.isfinite(given)):
        return f"`{field}` is not a finite number."
    if kind == "string_pattern_mismatch" and field in _FORM_ADVICE:
        return f"`{field}` {_FORM_ADVICE[field]}."
    message = problem["msg"].removeprefix("Value error, ").replace("Input", f"`{field}`", 1)
    message = message if f"`{field}`" in message else f"`{field}`: {message}"
    return message.rstrip(".") + "."


def _suggest(place: Sequence[str | int]) -> str:
    model = TrainConfig if len(place) > 1 and place[0] == "config" else JobCreate
    return suggest(str(place[-1]), model.model_fields)
