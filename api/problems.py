"""What is wrong with a request, in words for people: Pydantic's findings with the field's name and advice."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from api.schemas.errors import FieldProblem
from api.schemas.jobs import JobCreate
from api.spelling import suggest
from emomodel.config import TrainConfig

# What to do where Pydantic could only show a regular expression.
_AFTER_ADVICE = "is no place in this feed; give the `cursor` of the last item you have"
_FORM_ADVICE: Mapping[str, str] = {
    "cursor": "is no cursor; hand back `next_cursor` of the page before",
    "after": _AFTER_ADVICE,
    "Last-Event-ID": _AFTER_ADVICE,
    "dataset_id": "should be an id as `POST /datasets` answered it: ds_...",
    "name": "has control characters, such as a line break; leave out control characters",
    "Idempotency-Key": "should be a word of visible ASCII characters, without spaces",
}


def read_problem(problem: Mapping[str, Any]) -> FieldProblem:
    """Pydantic's words, with the field's name in place of "Input", and advice where it has none."""
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
