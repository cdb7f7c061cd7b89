"""What every request gets: an id, a limit on its body, the headers of a JSON API, a line in the log, a count."""

import re
import time
from typing import cast

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from api.dashboard import get_page_headers
from api.errors import make_internal_error_response
from api.telemetry.request_meter import RequestMeter
from jobs.telemetry.tracing import note_attribute

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID_FORM = re.compile(r"[A-Za-z0-9._-]{1,100}")

log = structlog.get_logger()


class BodyLimit:
    """Limits the bytes of a request's body. A route that streams its body to disk lifts it and counts for itself."""

    def __init__(self, headers: Headers, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._declared = headers.get("content-length", "")
        self._max_bytes: int | None = max_bytes
        self._received_bytes = 0

    def lift(self) -> None:
        self._max_bytes = None

    async def receive(self) -> Message:
        # Checked before the first byte is requested: a client that waits for "100 Continue" never sends the body.
        if self._declared.isdecimal():
            self._check(int(self._declared))
        message = await self._receive()
        self._received_bytes += len(message.get("body", b""))
        self._check(self._received_bytes)
        return message

    def _check(self, size_bytes: int) -> None:
        if self._max_bytes is not None and size_bytes > self._max_bytes:
            raise HTTPException(413, f"The body is larger than the limit of {self._max_bytes} bytes.")


def lift_body_limit(request: Request) -> None:
    """Lift the limit, for a route that limits its body by itself."""
    cast("BodyLimit", request.state.body_limit).lift()


class RequestMiddleware:
    """What happens around every request. Pure ASGI: it adds no task and no buffer to streams."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, meter: RequestMeter) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _get_request_id(headers)
        limit = BodyLimit(headers, receive, self._max_body_bytes)
        scope.setdefault("state", {})["body_limit"] = limit
        started_at = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._meter.note(scope, status, time.perf_counter() - started_at)
                answer = MutableHeaders(scope=message)
                answer[REQUEST_ID_HEADER] = request_id
                answer["X-Content-Type-Options"] = "nosniff"
                for name, value in get_page_headers(scope["path"], status).items():
                    answer.setdefault(name, value)
            await send(message)

        note_attribute("emotune.request.id", request_id)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, limit.receive, send_with_headers)
            except ClientDisconnect:
                log.info("client_gone", method=scope["method"], path=scope["path"])
                if not status:
                    self._meter.note(scope, status, time.perf_counter() - started_at)
                return
            except Exception:
                log.exception("request_failed", method=scope["method"], path=scope["path"])
                if status:
                    raise
                await make_internal_error_response(request_id)(scope, receive, send_with_headers)
            # Polls would fill the log: a request that only reads is logged when it fails.
            if scope["method"] not in ("GET", "HEAD") or status >= 500:
                seconds = round(time.perf_counter() - started_at, 4)
                log.info("request", method=scope["method"], path=scope["path"], status=status, seconds=seconds)


def _get_request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if REQUEST_ID_FORM.fullmatch(given) else f"req_{str(ULID()).lower()}"
