"""The metrics of a job, as pages, as columns and as a live stream."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access import AccessDep
from api.answers.follow import STREAMED, Look, follow, make_cursor_query, make_last_event_id, wants_event_stream
from api.deps import JobIdPath, Services, ServicesDep
from api.errors import error_responses
from api.schemas.base import Feed
from api.schemas.metrics import CurveColumns, Curves, MetricRead
from jobs import records
from jobs.runs.metrics import Cursor, read_metrics

router = APIRouter(tags=["progress"], responses=error_responses(401, 404))

MAX_METRICS = 5000
DEFAULT_METRICS = 1000
# More than the columns of a screen: a longer curve is sent in pages.
MAX_CURVE_POINTS = 20_000
# Nine digits fit the 32 bits of the columns.
CURSOR_PATTERN = r"\d{1,9}-\d{1,9}"

MetricCursor = Annotated[str | None, make_cursor_query(CURSOR_PATTERN, item="metric")]
LastEventId = Annotated[str, make_last_event_id(CURSOR_PATTERN)]


@router.get("/jobs/{job_id}/metrics", response_model=Feed[MetricRead], responses=STREAMED)
def list_metrics(
    job_id: JobIdPath,
    access: AccessDep,
    services: ServicesDep,
    request: Request,
    after: MetricCursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_METRICS)] = DEFAULT_METRICS,
    last_event_id: LastEventId = "",
) -> Response:
    """List a job's metrics after a cursor, oldest first.

    With `Accept: text/event-stream` they are streamed as they occur: events `metric`, whose id is the cursor, and `end`
    when the job has ended.
    """
    place = (last_event_id if wants_event_stream(request) else "") or after
    start = Cursor.parse(place) if place else Cursor()
    with access.read() as (session, caller):
        records.get_job(session, team_id=caller.team_id, job_id=job_id)
        if not wants_event_stream(request):
            points = read_metrics(session, services.metric_stream, job_id=job_id, after=start, limit=limit)
            next_cursor = str(points[-1].cursor) if points else after
            feed = Feed[MetricRead](items=[MetricRead.of(point) for point in points], next_cursor=next_cursor)
            # FastAPI would validate each number again, in another thread.
            return Response(feed.model_dump_json(), media_type="application/json")
    return follow(
        lambda after: _look(services, caller.team_id, job_id, after),
        start=start,
        event_name="metric",
        limiter=services.follower_limiter,
    )


@router.get("/jobs/{job_id}/curves", response_model=Curves)
def get_curves(
    job_id: JobIdPath,
    access: AccessDep,
    services: ServicesDep,
    after: MetricCursor = None,
    limit: Annotated[int, Query(ge=1, le=MAX_CURVE_POINTS)] = MAX_CURVE_POINTS,
) -> Response:
    """List the metrics after a cursor as columns, for drawing: faster than `GET /jobs/{job_id}/metrics`."""
    with access.read() as (session, caller):
        records.get_job(session, team_id=caller.team_id, job_id=job_id)
        start = Cursor.parse(after) if after else Cursor()
        points = read_metrics(session, services.metric_stream, job_id=job_id, after=start, limit=limit)
    curves = Curves(columns=CurveColumns.of(points), next_cursor=str(points[-1].cursor) if points else after)
    # FastAPI would validate each number again.
    return Response(curves.model_dump_json(), media_type="application/json")


def _look(services: Services, team_id: str, job_id: str, after: Cursor) -> Look[Cursor]:
    # The status first: when it says "ended", the metrics read after it are the last ones.
    with services.database.read() as session:
        status = records.get_job(session, team_id=team_id, job_id=job_id).status
        points = read_metrics(session, services.metric_stream, job_id=job_id, after=after, limit=DEFAULT_METRICS)
    place = points[-1].cursor if points else after
    items = [MetricRead.of(point) for point in points]
    return Look(items=items, place=place, status=status, is_full=len(items) == DEFAULT_METRICS)
