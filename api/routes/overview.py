"""The table of a team's jobs that a dashboard polls."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api import etags
from api.deps import DEFAULT_PAGE_LENGTH, AccessDep, BoardKeeperDep, PageLength
from api.errors import error_responses
from api.overview_schemas import JobOverview, JobRow
from api.schemas import MAX_NAME_LENGTH, NAME_PATTERN
from jobs.overview import Overview, OverviewSort, read_overview
from jobs.status import JobStatus

router = APIRouter(tags=["jobs"], responses=error_responses(401))

# Another release, with other fields, makes another answer of the same rows.
_FIELDS = repr(tuple(JobRow.model_fields))


def _list_none() -> list[JobStatus]:
    """In place of `list`: pydantic asks for a default's signature at each request, and for a type it takes a while."""
    return []


@router.get("/jobs:overview", response_model=JobOverview, responses=etags.TAGGED)
def list_job_overview(
    request: Request,
    access: AccessDep,
    board_keeper: BoardKeeperDep,
    status: Annotated[list[JobStatus], Query(default_factory=_list_none, description="Only jobs with one of these.")],
    search: Annotated[
        str | None,
        Query(
            max_length=MAX_NAME_LENGTH,
            pattern=NAME_PATTERN,
            description="Part of the name of the job, its dataset, its base model or who posted it; or the whole id.",
        ),
    ] = None,
    sort: Annotated[
        OverviewSort, Query(description="With a minus the other way round; what has no such value comes last.")
    ] = OverviewSort.CREATED_AT_DOWN,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="So many jobs are left out at the front.")] = 0,
    limit: PageLength = DEFAULT_PAGE_LENGTH,
) -> Response:
    """Your team's jobs as light rows, with their places in the queue and the course of their losses.

    Made to be polled: with `If-None-Match` it is 304, and little work, while nothing has changed.
    """
    with access.read() as (session, caller):
        part = read_overview(
            session,
            board_keeper,
            team_id=caller.team_id,
            statuses=status,
            search=search,
            sort=sort,
            offset=offset,
            limit=limit,
        )
    return etags.answer_tagged(
        request, _make_tag(part, offset), lambda: JobOverview.of(part, offset=offset).model_dump_json().encode()
    )


def _make_tag(part: Overview, offset: int) -> str:
    """Of what was read, so that nothing has to be made of it only to find that it is the same."""
    # A row's own `repr` leaves out the middle of what is long.
    rows = [tuple(row) for row in part.rows]
    content = (_FIELDS, offset, rows, part.places, part.total_count, part.counts)
    return etags.make_tag(repr(content).encode())
