"""Jobs: post, estimate, list, get and change."""

from functools import partial
from typing import Annotated

import structlog
from fastapi import APIRouter, BackgroundTasks, Header, Query, Request, Response
from sqlalchemy.orm import Session

from api.access import AccessDep, CallerDep
from api.answers import etags
from api.answers.jobs import read_job
from api.deps import (
    DEFAULT_PAGE_LENGTH,
    BoardKeeperDep,
    DatabaseDep,
    DoorbellDep,
    JobIdPath,
    ModelLibraryDep,
    PageCursor,
    PageLength,
    SettingsDep,
    StorageDep,
)
from api.errors import error_responses
from api.schemas.base import Items, Page
from api.schemas.estimates import JobEstimateRead
from api.schemas.jobs import JobCreate, JobDatasetRead, JobRead, JobUpdate
from api.schemas.runs import RunRead
from emomodel.sizing.model_shape import ModelShape
from jobs import records
from jobs.access.teams import Caller, get_team
from jobs.base_models.base_model import ListedModel
from jobs.base_models.library import ModelLibrary
from jobs.data.datasets import get_dataset
from jobs.errors import EmotuneError
from jobs.posting import create, estimates
from jobs.posting.job_request import JobInputs, JobRequest
from jobs.posting.memory import find_lack, find_shape
from jobs.queue.quotas import check_class
from jobs.runs import stops
from jobs.status import JobStatus
from jobs.telemetry.tracing import get_traceparent, note_attribute

router = APIRouter(tags=["jobs"], responses=error_responses(401))

log = structlog.get_logger()

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of your own. The same request with the same key creates one job, however often sent.",
    ),
]


@router.post(
    "/jobs",
    status_code=201,
    responses=error_responses(400, 403, 404, 409, 413, 507)
    | {200: {"model": JobRead, "description": "This request with this Idempotency-Key created this job before"}},
)
def create_job(
    body: JobCreate,
    caller: CallerDep,
    database: DatabaseDep,
    settings: SettingsDep,
    storage: StorageDep,
    library: ModelLibraryDep,
    doorbell: DoorbellDep,
    board_keeper: BoardKeeperDep,
    tasks: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> JobRead:
    """Queue a fine-tune of a base model on a dataset."""
    request = _make_request(body, caller, idempotency_key)
    # Before the transaction: its config may have to be fetched.
    model = _find_model(library, body.base_model)
    with database.write() as session:
        # A repeat gets its job whatever has become of disk, model and dataset since.
        job = create.find_repeat(session, request=request)
        is_new = False
        if job is None:
            storage.check_free(settings.min_free_disk_bytes)
            if isinstance(model, EmotuneError):
                raise model
            inputs = _get_inputs(session, request, find_shape(model), for_job=True)
            job, is_new = create.create_job(session, request=request, inputs=inputs, rules=board_keeper.rules)
    # Outside of the transaction that writes: where a long queue has to be ordered, others need not wait for it.
    with database.read() as session:
        answer = read_job(session, job, board_keeper)
    response.headers["Location"] = f"/jobs/{answer.id}"
    note_attribute("emotune.job.id", answer.id)
    # From the request's id to the job's, which is in all that the workers log of it.
    log.info("job_posted", job_id=answer.id, team_id=caller.team_id, is_new=is_new)
    if is_new:
        # After the commit: a worker that wakes at once finds the row. After the answer: a broker may be slow.
        tasks.add_task(doorbell.ring, needs_cuda=body.config.needs_cuda)
    else:
        response.status_code = 200
        response.headers["Idempotent-Replayed"] = "true"
    return answer


@router.post("/jobs:estimate", responses=error_responses(400, 403, 404, 409, 413))
def estimate_job(
    body: JobCreate, caller: CallerDep, database: DatabaseDep, library: ModelLibraryDep, board_keeper: BoardKeeperDep
) -> JobEstimateRead:
    """Estimate what a job would take, and when it would start. The body is that of `POST /jobs`; nothing is stored."""
    request = _make_request(body, caller)
    shape = find_shape(library.get(body.base_model))
    with database.read() as session:
        inputs = _get_inputs(session, request, shape, for_job=False)
        create.check_request(session, request=request, inputs=inputs)
        check_class(get_team(session, team_id=caller.team_id), body.priority_class)
        found = estimates.estimate_job(session, request=request, inputs=inputs, rules=board_keeper.rules)
        lack = find_lack(session, config=body.config, inputs=inputs)
    return JobEstimateRead.of(found, lack=lack)


@router.get("/jobs", response_model=Page[JobRead], responses=etags.TAGGED)
def list_jobs(
    request: Request,
    caller: CallerDep,
    database: DatabaseDep,
    status: Annotated[JobStatus | None, Query(description="Only jobs with this status.")] = None,
    cursor: PageCursor = None,
    limit: PageLength = DEFAULT_PAGE_LENGTH,
) -> Response:
    """List your team's jobs, newest first."""
    with database.read() as session:
        page = records.list_jobs(session, team_id=caller.team_id, status=status, cursor=cursor, limit=limit)
        answer = Page[JobRead](items=[JobRead.of(job) for job in page.items], next_cursor=page.next_cursor)
    return etags.answer(request, answer)


@router.get("/jobs/{job_id}", response_model=JobRead, responses=error_responses(404) | etags.TAGGED)
def get_job(request: Request, job_id: JobIdPath, access: AccessDep, board_keeper: BoardKeeperDep) -> Response:
    """Return a job and its progress."""
    # This is what clients poll. The caller as a dependency, and the answer as a model for FastAPI to validate, would
    # take more switches between threads, and the poll more time (benchmarks/poll.py).
    with access.read() as (session, caller):
        job = read_job(session, records.get_job(session, team_id=caller.team_id, job_id=job_id), board_keeper)
    return etags.answer(request, job)


@router.get("/jobs/{job_id}/dataset", responses=error_responses(404))
def get_job_dataset(job_id: JobIdPath, caller: CallerDep, database: DatabaseDep) -> JobDatasetRead:
    """Return the dataset that a job is trained on, with its report, even if the dataset has been deleted."""
    with database.read() as session:
        return JobDatasetRead.of(records.get_job(session, team_id=caller.team_id, job_id=job_id))


@router.patch("/jobs/{job_id}", responses=error_responses(400, 404, 409, 413))
def update_job(
    body: JobUpdate, job_id: JobIdPath, caller: CallerDep, database: DatabaseDep, board_keeper: BoardKeeperDep
) -> JobRead:
    """Change a job's name, or its priority while it has not ended."""
    with database.write() as session:
        job = stops.update_job(session, team_id=caller.team_id, job_id=job_id, name=body.name, priority=body.priority)
        return read_job(session, job, board_keeper)


@router.get("/jobs/{job_id}/runs", response_model=Items[RunRead], responses=error_responses(404) | etags.TAGGED)
def list_runs(request: Request, job_id: JobIdPath, caller: CallerDep, database: DatabaseDep) -> Response:
    """List a job's attempts, oldest first: where and when each ran, how it ended, and why the job continued."""
    with database.read() as session:
        job = records.get_job(session, team_id=caller.team_id, job_id=job_id)
        answer = Items[RunRead](items=[RunRead.of(run) for run in records.list_runs(session, job_id=job.id)])
    return etags.answer(request, answer)


def _find_model(library: ModelLibrary, name: str) -> ListedModel | EmotuneError:
    """The model, or why there is none: a repeat of an earlier call doesn't ask for it."""
    try:
        return library.get(name)
    except EmotuneError as error:
        return error


def _make_request(body: JobCreate, caller: Caller, idempotency_key: str | None = None) -> JobRequest:
    return JobRequest(
        team_id=caller.team_id,
        base_model=body.base_model,
        dataset_id=body.dataset_id,
        config=body.config,
        validation_dataset_id=body.validation_dataset_id,
        name=body.name,
        priority=body.priority,
        priority_class=body.priority_class,
        timeout_seconds=body.timeout_seconds,
        idempotency_key=idempotency_key,
        posted_by=caller.key_name,
        traceparent=get_traceparent(),
    )


def _get_inputs(session: Session, request: JobRequest, shape: ModelShape | None, *, for_job: bool) -> JobInputs:
    """The datasets that a request names. Raises DatasetNotFound."""
    find = partial(get_dataset, session, team_id=request.team_id, for_job=for_job)
    dataset = find(dataset_id=request.dataset_id)
    validation = None
    if request.validation_dataset_id is not None:
        validation = find(dataset_id=request.validation_dataset_id, field="validation_dataset_id")
    return JobInputs(dataset=dataset, validation=validation, shape=shape)
