"""The one table: domain error -> HTTP status, and the one body of every error."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.problems import read_problem
from api.schemas.errors import ErrorBody, ErrorInfo
from jobs.errors import (
    ApiKeyNotFound,
    ArtifactNotFound,
    BaseModelMissing,
    Conflict,
    DatasetInvalid,
    DatasetNotFound,
    DatasetTooLarge,
    DiskFull,
    EmotuneError,
    Forbidden,
    Gone,
    Invalid,
    JobNotFound,
    NoSlotForConfig,
    NotFound,
    PartNotFound,
    SlotNotFound,
    StorageUnreachable,
    TeamNotFound,
    Unauthorized,
    UploadNotFound,
    WouldNotFit,
)

# The nearest class counts. What is not here is no fault of the caller: 500.
STATUSES: Mapping[type[EmotuneError], HTTPStatus] = {
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Gone: HTTPStatus.GONE,
    Conflict: HTTPStatus.CONFLICT,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    # The payload is in order; the installation isn't there for it.
    BaseModelMissing: HTTPStatus.CONFLICT,
    NoSlotForConfig: HTTPStatus.CONFLICT,
    WouldNotFit: HTTPStatus.CONFLICT,
    DatasetTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    DiskFull: HTTPStatus.INSUFFICIENT_STORAGE,
    StorageUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}

# What a part of a path names, and so what is missing when it doesn't even have the right form.
_PATH_ERRORS: Mapping[str, type[NotFound]] = {
    "job_id": JobNotFound,
    "dataset_id": DatasetNotFound,
    "kind": ArtifactNotFound,
    "upload_id": UploadNotFound,
    "number": PartNotFound,
    "name": SlotNotFound,
    "team": TeamNotFound,
    "key_id": ApiKeyNotFound,
}

# Python's own phrases change with its version; these words are for programs and stay.
HTTP_CODES: Mapping[int, str] = {
    400: "request_unreadable",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "encoding_not_supported",
    416: "range_not_satisfiable",
}

# Beside the errors of the domain, what HTTP itself can refuse: words for people instead of the bare phrase.
_HTTP_ADVICE: Mapping[int, str] = {
    400: "The body can't be read. Send JSON as UTF-8, with `Content-Type: application/json`.",
    404: "There is nothing at this path. `GET /openapi.json` lists what there is.",
    405: "This path doesn't take this method. `GET /openapi.json` lists which it takes.",
}

# When a call is to be sent again that the database couldn't answer: restarts and locks take seconds.
RETRY_SECONDS = 2

log = structlog.get_logger()

# FastAPI's words for a body that is not even text.
_UNREADABLE = "There was an error parsing the body"

_DESCRIPTIONS: Mapping[int, str] = {
    400: "The request can't be read",
    401: "The API key is missing, unknown or revoked; or the session has ended, or the CSRF token is wrong",
    403: "Your key doesn't allow it",
    404: "Your team has no such thing",
    409: "It doesn't fit the present status of things",
    410: "It has been deleted, as the operator keeps such files for a time only",
    413: "Too large",
    415: "The body is encoded in a way that is not taken",
    416: "The range lies outside the file",
    422: "Something in the request is wrong: `error.field` says what",
    500: "An error of the service; quote the `X-Request-ID` to the operator",
    503: "The database or the object store doesn't answer just now; send the same again",
    507: "The disk is nearly full",
}

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

MAX_DETAILS = 20


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documentation of a route's errors, for FastAPI's `responses`."""
    return {status: {"model": ErrorBody, "description": _DESCRIPTIONS[status]} for status in statuses}


def get_status(error: EmotuneError) -> HTTPStatus:
    """Of the nearest class in the table."""
    for cls in type(error).__mro__:
        status = STATUSES.get(cast("type[EmotuneError]", cls))
        if status is not None:
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def make_error_response(status: int, body: ErrorBody, headers: Mapping[str, str] | None = None) -> JSONResponse:
    content = body.model_dump(mode="json", exclude_none=True)
    content["error"].setdefault("field", None)
    return JSONResponse(content, status_code=int(status), headers=headers)


def make_internal_error_response(request_id: str) -> JSONResponse:
    """Says nothing of what happened: the log does, under the same id."""
    message = f"Something went wrong in the service. Tell the operator this request id: {request_id}."
    return make_error_response(500, ErrorBody(error=ErrorInfo(code="internal_error", message=message)))


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(EmotuneError, _answer_domain_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    for unreachable in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(unreachable, _answer_unreachable_database)


# Handlers are coroutines, else each error would cost a thread. Starlette types them for any Exception.
async def _answer_domain_error(_request: Request, error: Exception) -> Response:
    error = cast("EmotuneError", error)
    status = get_status(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        raise error
    report = error.report if isinstance(error, DatasetInvalid) else None
    body = ErrorBody(error=ErrorInfo(code=error.code, message=error.message, field=error.field), report=report)
    headers = {"WWW-Authenticate": "Bearer"} if status is HTTPStatus.UNAUTHORIZED else None
    return make_error_response(status, body, headers)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    error = cast("HTTPException", error)
    phrase = HTTPStatus(error.status_code).phrase
    advice = _HTTP_ADVICE.get(error.status_code) if error.detail in (phrase, _UNREADABLE) else None
    code = HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
    info = ErrorInfo(code=code, message=advice or error.detail)
    headers = {"Allow": ", ".join(_list_methods(request))} if error.status_code == 405 else error.headers
    return make_error_response(error.status_code, ErrorBody(error=info), headers)


def _list_methods(request: Request) -> list[str]:
    """What the path takes. The framework asks only the first of its routes, and each of ours takes one method."""
    routes = request.app.routes
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _answer_unreachable_database(_request: Request, error: Exception) -> Response:
    """It restarts, or is locked: the same call will soon go through."""
    log.warning("database_unavailable", reason=str(error).partition("\n")[0])
    message = (
        "The database doesn't answer just now. Send the same again in a moment; "
        "with an Idempotency-Key a job is made once, even if this call did make it."
    )
    body = ErrorBody(error=ErrorInfo(code="database_unavailable", message=message))
    return make_error_response(HTTPStatus.SERVICE_UNAVAILABLE, body, {"Retry-After": str(RETRY_SECONDS)})


async def _answer_validation_error(_request: Request, error: Exception) -> Response:
    problems = cast("RequestValidationError", error).errors()
    for problem in problems:
        if problem["loc"][0] == "path":
            missing = _PATH_ERRORS[problem["loc"][1]]()
            return make_error_response(404, ErrorBody(error=ErrorInfo(code=missing.code, message=missing.message)))
    found = [read_problem(problem) for problem in problems[:MAX_DETAILS]]
    info = ErrorInfo(
        code="request_invalid",
        message=found[0].message,
        field=found[0].field,
        details=found if len(found) > 1 else None,
    )
    return make_error_response(422, ErrorBody(error=info))
