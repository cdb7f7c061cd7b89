"""Entity tags for answers that are polled: 304 for a caller that has the current version (RFC 9110)."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

# Clients may keep the answer, and have to validate it again at each use.
CACHE_CONTROL = "private, no-cache"

_DIGEST_BYTES = 16
_HEADERS = {"ETag": {"description": "Changes with the answer.", "schema": {"type": "string"}}}

TAGGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": _HEADERS},
    304: {"description": "`If-None-Match` names this answer: nothing has changed", "headers": _HEADERS},
}


def make_tag(content: bytes) -> str:
    return f'"{blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()}"'


def make_file_tag(path: Path | None, name: str) -> str:
    """Make the tag of a growing file from its size and time, and `name`; `path` is None before the file exists."""
    if path is None:
        return make_tag(name.encode())
    found = path.stat()
    return make_tag(f"{name} {found.st_size} {found.st_mtime_ns}".encode())


def matches(header: str, tag: str) -> bool:
    """Whether an If-None-Match header names this version, by weak comparison."""
    return header.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in header.split(","))


def find_not_modified(request: Request, tag: str) -> Response | None:
    """Return a 304 answer if the caller has this version, else None."""
    if matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=make_headers(tag))
    return None


def make_headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": CACHE_CONTROL}


def answer(request: Request, model: BaseModel) -> Response:
    """Answer with the model as JSON, tagged by its bytes."""
    body = model.model_dump_json().encode()
    return answer_tagged(request, make_tag(body), body)


def answer_tagged(request: Request, tag: str, body: bytes) -> Response:
    """Answer with JSON whose tag is known."""
    return find_not_modified(request, tag) or Response(body, media_type="application/json", headers=make_headers(tag))
