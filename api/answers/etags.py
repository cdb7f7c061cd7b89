"""Answers that are polled: with a tag of their content, and 304 for who has it already (RFC 9110)."""

from hashlib import blake2b
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

# To be kept, and to be asked for anew at each use.
CACHE_CONTROL = "private, no-cache"

_DIGEST_BYTES = 16
_HEADERS = {"ETag": {"description": "Changes with the answer.", "schema": {"type": "string"}}}

TAGGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": _HEADERS},
    304: {"description": "`If-None-Match` names this answer: you have it", "headers": _HEADERS},
}


def make_tag(content: bytes) -> str:
    return f'"{blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()}"'


def make_file_tag(path: Path | None, name: str) -> str:
    """Of a file that grows, told by its size and time, and of what of it is sent; also before it is there."""
    if path is None:
        return make_tag(name.encode())
    found = path.stat()
    return make_tag(f"{name} {found.st_size} {found.st_mtime_ns}".encode())


def matches(header: str, tag: str) -> bool:
    """Whether an If-None-Match header names this version, weakly compared."""
    return header.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in header.split(","))


def find_not_modified(request: Request, tag: str) -> Response | None:
    """304, if this version is what the caller has."""
    if matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=make_headers(tag))
    return None


def make_headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": CACHE_CONTROL}


def answer(request: Request, model: BaseModel) -> Response:
    """The model as JSON, tagged by its own bytes."""
    body = model.model_dump_json().encode()
    return answer_tagged(request, make_tag(body), body)


def answer_tagged(request: Request, tag: str, body: bytes) -> Response:
    """JSON whose tag is known."""
    return find_not_modified(request, tag) or Response(body, media_type="application/json", headers=make_headers(tag))
