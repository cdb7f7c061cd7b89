"""Stops of jobs: cancel, pause and resume, save a checkpoint, and the operator's preemption."""

from fastapi import APIRouter, BackgroundTasks

from api.access import CallerDep, OperatorDep
from api.answers.jobs import read_job
from api.deps import BoardKeeperDep, DatabaseDep, DoorbellDep, JobIdPath
from api.errors import error_responses
from api.schemas.jobs import JobRead
from jobs.runs import operator as operators
from jobs.runs import stops

router = APIRouter(tags=["jobs"], responses=error_responses(401))


@router.post("/jobs/{job_id}/cancel", responses=error_responses(404, 409))
def cancel_job(job_id: JobIdPath, caller: CallerDep, database: DatabaseDep, board_keeper: BoardKeeperDep) -> JobRead:
    """Cancel a job: a waiting one at once, a running one after its current step. Repeating the call changes nothing."""
    with database.write() as session:
        job = stops.request_cancel(session, team_id=caller.team_id, job_id=job_id)
        return read_job(session, job, board_keeper)


@router.post("/jobs/{job_id}/pause", responses=error_responses(404, 409))
def pause_job(job_id: JobIdPath, caller: CallerDep, database: DatabaseDep, board_keeper: BoardKeeperDep) -> JobRead:
    """Pause a job: it saves a checkpoint, leaves its slot, and keeps its place in the queue for when it is resumed."""
    with database.write() as session:
        job = stops.request_pause(session, team_id=caller.team_id, job_id=job_id)
        return read_job(session, job, board_keeper)


@router.post("/jobs/{job_id}/resume", responses=error_responses(404, 409))
def resume_job(
    job_id: JobIdPath,
    caller: CallerDep,
    database: DatabaseDep,
    board_keeper: BoardKeeperDep,
    doorbell: DoorbellDep,
    tasks: BackgroundTasks,
) -> JobRead:
    """Queue a paused job again. It resumes from its last checkpoint, as if it had not been paused."""
    with database.write() as session:
        job = stops.resume_job(session, team_id=caller.team_id, job_id=job_id)
        answer = read_job(session, job, board_keeper)
        needs_cuda = job.needs_cuda
    tasks.add_task(doorbell.ring, needs_cuda=needs_cuda)
    return answer


@router.post("/jobs/{job_id}/checkpoint", status_code=202, responses=error_responses(404, 409))
def save_checkpoint(
    job_id: JobIdPath, caller: CallerDep, database: DatabaseDep, board_keeper: BoardKeeperDep
) -> JobRead:
    """Let a running job save a checkpoint now and continue. `checkpoint_requested` is true until it is saved."""
    with database.write() as session:
        job = stops.request_checkpoint(session, team_id=caller.team_id, job_id=job_id)
        return read_job(session, job, board_keeper)


@router.post("/jobs/{job_id}/preempt", status_code=202, responses=error_responses(403, 404, 409))
def preempt_job(
    job_id: JobIdPath, _operator: OperatorDep, database: DatabaseDep, board_keeper: BoardKeeperDep
) -> JobRead:
    """For operators: let a running job of any team save a checkpoint, leave its slot, and wait again."""
    with database.write() as session:
        return read_job(session, operators.preempt_job(session, job_id=job_id), board_keeper)
