"""The logs of a job's training processes."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from api.access import CallerDep
from api.answers import etags
from api.answers.downloads import find_tail, stream_text
from api.deps import DatabaseDep, JobIdPath, StorageDep
from api.errors import error_responses
from jobs import records
from jobs.errors import RunNotFound

router = APIRouter(tags=["progress"], responses=error_responses(401, 404))

MAX_TAIL_LINES = 1_000_000


@router.get(
    "/jobs/{job_id}/logs",
    response_class=Response,
    responses=error_responses(410)
    | etags.TAGGED
    | {200: etags.TAGGED[200] | {"description": "The log", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def get_log(
    request: Request,
    job_id: JobIdPath,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    attempt: Annotated[int | None, Query(ge=1, le=1_000_000, description="Default: the latest.")] = None,
    tail: Annotated[
        int | None, Query(ge=1, le=MAX_TAIL_LINES, description="Return only the last lines: how many.")
    ] = None,
) -> Response:
    """Return the log of a run as plain text, as far as it is written; empty before the first run."""
    with database.read() as session:
        latest = records.get_job(session, team_id=caller.team_id, job_id=job_id).attempt
        records.check_logs(session, job_id=job_id)
    if attempt is not None and attempt > latest:
        raise RunNotFound(f"The job has had {latest} attempts.", field="attempt")
    path = storage.find_log(job_id, attempt or latest)
    # Made before the file is read, so that lines written meanwhile get another tag.
    tag = etags.make_file_tag(path, f"{job_id} {attempt or latest} {tail}")
    not_modified = etags.find_not_modified(request, tag)
    if not_modified is not None:
        return not_modified
    headers = etags.make_headers(tag)
    if path is None:
        return PlainTextResponse("", headers=headers)
    return stream_text(path, find_tail(path, tail), headers=headers)
