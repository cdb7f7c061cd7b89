"""The queue: which jobs wait, at which place and why; and how operators change it."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from sqlalchemy.orm import Session

from api.access import AccessDep, OperatorDep
from api.answers import etags
from api.deps import DEFAULT_PAGE_LENGTH, BoardKeeperDep, DatabaseDep, DoorbellDep, JobIdPath, PageLength
from api.errors import error_responses
from api.schemas.queue import JobHold, JobMove, QueueEntryRead, QueueRead
from jobs.access.teams import Caller
from jobs.models import Job
from jobs.queue.board import draw_board
from jobs.queue.rules import QueueRules
from jobs.queue.view import show_job, show_queue
from jobs.runs import operator as operators

router = APIRouter(prefix="/queue", tags=["queue"], responses=error_responses(401))


@router.get("", response_model=QueueRead, responses=etags.TAGGED)
def get_queue(
    request: Request,
    access: AccessDep,
    board_keeper: BoardKeeperDep,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="Number of places to skip.")] = 0,
    limit: PageLength = DEFAULT_PAGE_LENGTH,
) -> Response:
    """List all teams' waiting jobs in the order of their start. For other teams' jobs only the place is shown."""
    with access.read() as (session, caller):
        part = show_queue(
            session,
            board_keeper.get_board(session),
            rules=board_keeper.rules,
            team_id=caller.team_id,
            is_operator=caller.is_operator,
            offset=offset,
            limit=limit,
        )
        answer = QueueRead.of(part, offset=offset)
    return etags.answer(request, answer)


@router.post("/{job_id}/hold", responses=error_responses(400, 403, 404, 409, 413))
def hold_job(
    job_id: JobIdPath, body: JobHold, operator: OperatorDep, database: DatabaseDep, board_keeper: BoardKeeperDep
) -> QueueEntryRead:
    """For operators: hold a job, so that no slot takes it until it is released. It keeps its age."""
    with database.write() as session:
        job = operators.hold_job(session, job_id=job_id, reason=body.reason)
        return _read_entry(session, job, operator, board_keeper.rules)


@router.post("/{job_id}/release", responses=error_responses(403, 404, 409))
def release_job(
    job_id: JobIdPath,
    operator: OperatorDep,
    database: DatabaseDep,
    board_keeper: BoardKeeperDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
) -> QueueEntryRead:
    """For operators: release a held job, so that slots take it again."""
    with database.write() as session:
        job = operators.release_job(session, job_id=job_id)
        answer = _read_entry(session, job, operator, board_keeper.rules)
    tasks.add_task(doorbell.ring, needs_cuda=job.needs_cuda)
    return answer


@router.post("/{job_id}/move", responses=error_responses(400, 403, 404, 409, 413))
def move_job(
    job_id: JobIdPath, body: JobMove, operator: OperatorDep, database: DatabaseDep, board_keeper: BoardKeeperDep
) -> QueueEntryRead:
    """For operators: move a waiting job to a place, or with null back to its place by the queue's rules."""
    with database.write() as session:
        job = operators.move_job(session, job_id=job_id, position=body.position, rules=board_keeper.rules)
        return _read_entry(session, job, operator, board_keeper.rules)


def _read_entry(session: Session, job: Job, operator: Caller, rules: QueueRules) -> QueueEntryRead:
    """Return the job's place from a new board, as the kept one does not have the change yet."""
    session.flush()
    board = draw_board(session, rules=rules)
    return QueueEntryRead.of(show_job(session, board, job, rules=rules, team_id=operator.team_id))
