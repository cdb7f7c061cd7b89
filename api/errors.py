"""Turns domain errors into HTTP statuses by one table, and gives every error the same body."""

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

# The nearest base class counts. An error that is not listed is not the caller's fault: 500.
STATUSES: Mapping[type[EmotuneError], HTTPStatus] = {
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Gone: HTTPStatus.GONE,
    Conflict: HTTPStatus.CONFLICT,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    # The payload is valid, but this installation can't serve it.
    BaseModelMissing: HTTPStatus.CONFLICT,
    NoSlotForConfig: HTTPStatus.CONFLICT,
    WouldNotFit: HTTPStatus.CONFLICT,
    DatasetTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    DiskFull: HTTPStatus.INSUFFICIENT_STORAGE,
    StorageUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
}

# What each path parameter names: the error to answer when its text can't be such a name.
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

# Codes for programs, which stay the same. Python's own phrases change with its version.
HTTP_CODES: Mapping[int, str] = {
    400: "request_unreadable",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "encoding_not_supported",
    416: "range_not_satisfiable",
}

# Messages for what HTTP itself refuses, in place of the bare phrase.
_HTTP_ADVICE: Mapping[int, str] = {
    400: "The body can't be read. Send JSON as UTF-8, with `Content-Type: application/json`.",
    404: "This path does not exist. `GET /openapi.json` lists the paths that do.",
    405: "This path does not support this method. `GET /openapi.json` lists the supported ones.",
}

# When to repeat a call that failed because of the database: restarts and locks take seconds.
RETRY_SECONDS = 2

log = structlog.get_logger()

# FastAPI's message for a body that is not even text.
_UNREADABLE = "There was an error parsing the body"

_DESCRIPTIONS: Mapping[int, str] = {
    400: "The request can't be read",
    401: "The API key is missing, unknown or revoked; or the session has ended, or the CSRF token is wrong",
    403: "Your key doesn't permit this",
    404: "Not found among what your team owns",
    409: "The request conflicts with the current state",
    410: "Deleted: the operator keeps such files for a limited time",
    413: "Too large",
    415: "The encoding of the body is not supported",
    416: "The range lies outside the file",
    422: "The request is invalid: `error.field` names the field",
    500: "An internal error: report the `X-Request-ID` to the operator",
    503: "The database or the object store is unavailable for the moment: send the request again",
    507: "The disk is nearly full",
}

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

MAX_DETAILS = 20


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Document a route's errors, for FastAPI's `responses`."""
    return {status: {"model": ErrorBody, "description": _DESCRIPTIONS[status]} for status in statuses}


def get_status(error: EmotuneError) -> HTTPStatus:
    """Return the status of the error's nearest base class in the table, or 500 if none is listed."""
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
    """Answer 500 without details: the log has them under the same request id."""
    message = f"An internal error occurred. Report this request id to the operator: {request_id}."
    return make_error_response(500, ErrorBody(error=ErrorInfo(code="internal_error", message=message)))


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(EmotuneError, _answer_domain_error)
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    for unreachable in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(unreachable, _answer_unreachable_database)


# Handlers are coroutines, as each error would otherwise take a thread. Starlette types them for any Exception.
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
    """List the methods of the path. Starlette asks its first route only, and each of our routes has one method."""
    routes = request.app.routes
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _answer_unreachable_database(_request: Request, error: Exception) -> Response:
    """Answer 503 while the database restarts or is locked: the same call will soon succeed."""
    log.warning("database_unavailable", reason=str(error).partition("\n")[0])
    message = (
        "The database is unavailable for the moment. Send the request again in a few seconds; "
        "with an Idempotency-Key a job is created only once, even if this call created it."
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
