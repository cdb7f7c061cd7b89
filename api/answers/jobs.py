"""A job as an answer, with its place in the queue and the reason why it waits."""

from sqlalchemy.orm import Session

from api.schemas.jobs import JobRead
from jobs.models import Job
from jobs.queue.board import BoardKeeper
from jobs.queue.forecast import Place
from jobs.queue.reasons import explain
from jobs.status import JobStatus


def read_job(session: Session, job: Job, board_keeper: BoardKeeper) -> JobRead:
    if job.status is not JobStatus.QUEUED:
        return JobRead.of(job)
    board = board_keeper.get_board(session, job_id=job.id)
    place = board.by_id.get(job.id)
    if place is None:
        # The job has been claimed since it was read.
        return JobRead.of(job)
    position = place.position if isinstance(place, Place) else None
    return JobRead.of(job, queue_position=position, queue_reason=explain(board, place, rules=board_keeper.rules))
