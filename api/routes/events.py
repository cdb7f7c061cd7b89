"""The events of a job, as pages and as a live stream."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from api.access import CallerDep
from api.answers.follow import STREAMED, Look, follow, make_cursor_query, make_last_event_id, wants_event_stream
from api.deps import JobIdPath, Services, ServicesDep
from api.errors import error_responses
from api.schemas.base import Feed
from api.schemas.events import EventRead
from jobs import records

router = APIRouter(tags=["progress"], responses=error_responses(401, 404))

MAX_EVENTS = 1000
# Eighteen digits fit the database's 64 bits.
CURSOR_PATTERN = r"\d{1,18}"

EventCursor = Annotated[str | None, make_cursor_query(CURSOR_PATTERN, item="event")]
LastEventId = Annotated[str, make_last_event_id(CURSOR_PATTERN)]


@router.get("/jobs/{job_id}/events", response_model=Feed[EventRead], responses=STREAMED)
def list_events(
    job_id: JobIdPath,
    caller: CallerDep,
    services: ServicesDep,
    request: Request,
    after: EventCursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = MAX_EVENTS,
    last_event_id: LastEventId = "",
) -> Feed[EventRead] | StreamingResponse:
    """List a job's events after a cursor, oldest first.

    With `Accept: text/event-stream` they are streamed as they occur: events `event`, whose id is the cursor, and `end`
    when the job has ended.
    """
    with services.database.read() as session:
        records.get_job(session, team_id=caller.team_id, job_id=job_id)
        if not wants_event_stream(request):
            events = records.list_events(session, job_id=job_id, after=int(after or 0), limit=limit)
            next_cursor = str(events[-1].id) if events else after
            return Feed(items=[EventRead.of(event) for event in events], next_cursor=next_cursor)
    return follow(
        lambda place: _look(services, caller.team_id, job_id, place),
        start=int(last_event_id or after or 0),
        event_name="event",
        limiter=services.follower_limiter,
    )


def _look(services: Services, team_id: str, job_id: str, after: int) -> Look[int]:
    # The status first: when it says "ended", the events read after it are the last ones.
    with services.database.read() as session:
        status = records.get_job(session, team_id=team_id, job_id=job_id).status
        events = records.list_events(session, job_id=job_id, after=after, limit=MAX_EVENTS)
    place = events[-1].id if events else after
    items = [EventRead.of(event) for event in events]
    return Look(items=items, place=place, status=status, is_full=len(items) == MAX_EVENTS)
