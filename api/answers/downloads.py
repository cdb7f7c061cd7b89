"""File downloads with ranges, conditional requests and checksums (RFC 9110, RFC 9530), read in small pieces.

Starlette's FileResponse answers an impossible range in plain text and makes the ETag from the file's time; ours has the
body of all errors, and uses the sha256, which is known anyway.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.exceptions import HTTPException

from api.answers.etags import CACHE_CONTROL, matches
from jobs.files.content import StoredContent
from jobs.files.store import read_pieces

PIECE_BYTES = 256 * 1024
# Documentation of the redirect to the object store.
LINKED = {"description": "Where `EMOTUNE_STORAGE_LINK_SECONDS` is set: follow `Location`, without the key"}
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.IGNORECASE)
# Longer numbers name no byte of any file, and Python reads only 4,300 digits.
_MAX_DIGITS = 18


@dataclass(frozen=True)
class Span:
    """Bytes `start` to `end` of a file, the end excluded."""

    start: int
    end: int

    @property
    def size_bytes(self) -> int:
        return self.end - self.start


def make_file_response(
    request: Request,
    content: StoredContent,
    *,
    size_bytes: int,
    sha256: str,
    media_type: str,
    filename: str,
    link_seconds: float | None,
) -> Response:
    """Answer with a file that never changes: 200, 206, 304 or 416; or 307 with a signed link to the object store."""
    etag = f'"{sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": CACHE_CONTROL,
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
        # Our own names are plain ASCII words, so both forms say the same; curl reads only the first.
        "Content-Disposition": f"attachment; filename=\"{quote(filename)}\"; filename*=UTF-8''{quote(filename)}",
    }
    if matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    link = content.sign(link_seconds) if link_seconds is not None else None
    if link is not None:
        # A link holds for a limited time only. The store itself answers ranges.
        return Response(status_code=307, headers=headers | {"Location": link, "Cache-Control": "no-store"})
    # If the client has another version of the file, a part is of no use to it: it gets the complete file.
    is_same_version = request.headers.get("if-range", etag) == etag
    span = find_span(request.headers.get("range", ""), size_bytes) if is_same_version else None
    if span is None:
        return _stream(request, content, Span(0, size_bytes), 200, media_type, headers)
    headers["Content-Range"] = f"bytes {span.start}-{span.end - 1}/{size_bytes}"
    return _stream(request, content, span, 206, media_type, headers)


def find_span(header: str, size_bytes: int) -> Span | None:
    """Return the part of the file that a Range header asks for, or None for the complete file.

    A header that can't be read, or that asks for several parts, is ignored, as RFC 9110 allows. Raises HTTPException
    416 when the range starts outside the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or max(map(len, match.groups())) > _MAX_DIGITS or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size_bytes - int(last), 0), size_bytes
    else:
        start, end = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes:
        raise HTTPException(
            416,
            f"The range starts outside the file, which has {size_bytes} bytes.",
            headers={"Content-Range": f"bytes */{size_bytes}"},
        )
    return Span(start, end)


def stream_text(path: Path, span: Span, *, headers: Mapping[str, str]) -> Response:
    """Answer with a part of a text file."""
    headers = {**headers, "Content-Length": str(span.size_bytes)}
    return StreamingResponse(
        read_pieces(path, span.start, span.end), media_type="text/plain; charset=utf-8", headers=headers
    )


def find_tail(path: Path, line_count: int | None) -> Span:
    """Find the last lines of a file that may grow; without a count, all of it. Reads backwards in pieces."""
    with path.open("rb") as stream:
        size = position = stream.seek(0, 2)
        if line_count is None:
            return Span(0, size)
        # The newline that ends the last line begins no other.
        wanted = line_count + 1
        while position > 0:
            start = max(position - PIECE_BYTES, 0)
            stream.seek(start)
            piece = stream.read(position - start)
            if position == size and not piece.endswith(b"\n"):
                wanted -= 1
            found = piece.count(b"\n")
            if found >= wanted:
                return Span(start + _find_nth_last(piece, wanted) + 1, size)
            wanted -= found
            position = start
        return Span(0, size)


def _find_nth_last(piece: bytes, count: int) -> int:
    place = len(piece)
    for _ in range(count):
        place = piece.rindex(b"\n", 0, place)
    return place


def _stream(
    request: Request, content: StoredContent, span: Span, status: int, media_type: str, headers: Mapping[str, str]
) -> Response:
    headers = {**headers, "Content-Length": str(span.size_bytes)}
    if request.method == "HEAD":
        return Response(status_code=status, media_type=media_type, headers=headers)
    pieces = content.read(span.start, span.end)
    return StreamingResponse(pieces, status_code=status, media_type=media_type, headers=headers)
