"""Server-sent events: a feed that is followed until its job has ended."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anyio
from anyio import to_thread
from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.schemas.events import EventRead
from api.schemas.metrics import MetricRead
from jobs.status import JobStatus

EVENT_STREAM = "text/event-stream"
# Documentation for FastAPI's `responses`: the answer may also be a stream.
STREAMED: dict[int | str, dict[str, Any]] = {200: {"content": {EVENT_STREAM: {"schema": {"type": "string"}}}}}

# How soon a follower sees what is new. Each look is one short transaction, so this limits the load of many followers.
LOOK_SECONDS = 1.0
# Proxies commonly close a connection that was silent for a minute.
KEEPALIVE_SECONDS = 15.0

Place = TypeVar("Place")


@dataclass(frozen=True)
class Look(Generic[Place]):
    """What one look at a feed found: items in order, the place after them, and the job's status before the look."""

    items: Sequence[MetricRead | EventRead]
    place: Place
    status: JobStatus
    is_full: bool = False  # whether there may be more to read at once


def make_cursor_query(pattern: str, *, item: str) -> Any:
    """Make the query parameter `after` of a feed whose cursors have this form. `item` names what the feed holds."""
    return Query(pattern=rf"^{pattern}$", description=f"`cursor` of the last {item} you have.")


def make_last_event_id(pattern: str) -> Any:
    """Make the header by which EventSource resumes a feed. It is empty for none, as headers are not nullable."""
    return Header(
        alias="Last-Event-ID",
        pattern=rf"^({pattern})?$",
        description="Sent by EventSource on reconnecting; takes precedence over `after`.",
    )


def wants_event_stream(request: Request) -> bool:
    """Whether the Accept header asks for server-sent events, as EventSource does."""
    accepted = request.headers.get("accept", "").split(",")
    return any(media_type.partition(";")[0].strip().lower() == EVENT_STREAM for media_type in accepted)


def follow(
    look: Callable[[Place], Look[Place]], *, start: Place, event_name: str, limiter: anyio.CapacityLimiter
) -> StreamingResponse:
    """Stream a feed from `start` on. `look` runs in a thread; between looks a follower holds nothing but its socket."""
    return StreamingResponse(
        _follow(look, start, event_name, limiter),
        media_type=EVENT_STREAM,
        # A proxy such as nginx would otherwise buffer the stream.
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _follow(
    look: Callable[[Place], Look[Place]], start: Place, event_name: str, limiter: anyio.CapacityLimiter
) -> AsyncIterator[bytes]:
    place, silent_seconds = start, 0.0
    yield KEEPALIVE_COMMENT  # shows the client, and proxies, at once that the stream is open
    while True:
        found = await to_thread.run_sync(look, place, limiter=limiter)
        place = found.place
        if found.items:
            yield b"".join(_format(item, event_name) for item in found.items)
            silent_seconds = 0.0
            if found.is_full or found.status.is_final:
                continue
        elif found.status.is_final:
            yield format_sse_event(event="end", data_str=json.dumps({"status": found.status.value}))
            return
        await asyncio.sleep(LOOK_SECONDS)
        silent_seconds += LOOK_SECONDS
        if silent_seconds >= KEEPALIVE_SECONDS:
            yield KEEPALIVE_COMMENT
            silent_seconds = 0.0


def _format(item: MetricRead | EventRead, event_name: str) -> bytes:
    return format_sse_event(event=event_name, data_str=item.model_dump_json(), id=item.cursor)
