"""The table of a team's jobs that a dashboard polls."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.access import AccessDep
from api.answers import etags
from api.deps import DEFAULT_PAGE_LENGTH, BoardKeeperDep, PageLength, SharedAnswersDep
from api.errors import error_responses
from api.schemas.base import MAX_NAME_LENGTH, NAME_PATTERN
from api.schemas.overview import JobOverview
from jobs.queue.board import find_newest_event
from jobs.queue.overview import OverviewQuery, OverviewSort, read_overview
from jobs.status import JobStatus

router = APIRouter(tags=["jobs"], responses=error_responses(401))


def _list_none() -> list[JobStatus]:
    """Replaces `list`: Pydantic inspects the factory's signature at each request, which is slow for a type."""
    return []


@router.get("/jobs:overview", response_model=JobOverview, responses=etags.TAGGED)
def list_job_overview(
    request: Request,
    access: AccessDep,
    board_keeper: BoardKeeperDep,
    answers: SharedAnswersDep,
    status: Annotated[
        list[JobStatus], Query(default_factory=_list_none, description="Only jobs with one of these statuses.")
    ],
    search: Annotated[
        str | None,
        Query(
            max_length=MAX_NAME_LENGTH,
            pattern=NAME_PATTERN,
            description="Part of the name of the job, its dataset, its base model or its key; or the complete id.",
        ),
    ] = None,
    sort: Annotated[
        OverviewSort, Query(description="With a minus in descending order; jobs without the value come last.")
    ] = OverviewSort.CREATED_AT_DOWN,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="Number of jobs to skip.")] = 0,
    limit: PageLength = DEFAULT_PAGE_LENGTH,
) -> Response:
    """List your team's jobs as light rows, with their places in the queue and the course of their losses.

    Made to be polled: with `If-None-Match` the answer is 304 while nothing has changed. The progress of running jobs
    may be a second old, as all calls within a second get the same answer; everything else is current.
    """
    with access.read() as (session, caller):
        query = OverviewQuery(caller.team_id, limit, tuple(status), search, sort, offset)

        def make() -> bytes:
            overview = read_overview(session, board_keeper, query)
            return JobOverview.of(overview, offset=offset).model_dump_json().encode()

        found = answers.get((query, find_newest_event(session)), make)
    return etags.answer_tagged(request, found.tag, found.body)
