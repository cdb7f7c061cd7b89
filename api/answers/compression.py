"""Gzip for pages and for long tables of numbers. Downloads are sent as they are, so that ranges and digests hold."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_PATHS = ("/", "/metrics")
_PREFIXES = ("/assets/",)
_SUFFIXES = ("/curves", ":overview")
# A smaller answer fits into one packet anyway.
_MIN_BYTES = 1024
# Answers are compressed each time they are sent; higher levels take twice the time to save a tenth of the bytes.
_LEVEL = 4


class CompressionMiddleware:
    """Compresses answers whose path asks for it. Pure ASGI: it adds no task to a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packing = GZipMiddleware(app, minimum_size=_MIN_BYTES, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_packed = path in _PATHS or path.startswith(_PREFIXES) or path.endswith(_SUFFIXES)
        await (self._packing if is_packed else self._plain)(scope, receive, send)
