"""A team's jobs for a table that is polled: only the needed columns, read without creating objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, UnaryExpression, case, func, or_, select
from sqlalchemy.orm import Session

from jobs.models import Job
from jobs.queue.board import BoardKeeper
from jobs.queue.forecast import Place
from jobs.queue.reasons import WaitReason, explain
from jobs.status import JobStatus

# The forecast changes slightly each time; rounding keeps polls from seeing that as a change.
START_PRECISION = timedelta(minutes=1)


class OverviewSort(StrEnum):
    """The order of the jobs; a minus reverses it. Jobs without the value come last."""

    CREATED_AT = "created_at"
    CREATED_AT_DOWN = "-created_at"
    NAME = "name"
    NAME_DOWN = "-name"
    STATUS = "status"
    STATUS_DOWN = "-status"
    LAST_LOSS = "last_loss"
    LAST_LOSS_DOWN = "-last_loss"
    STARTED_AT = "started_at"
    STARTED_AT_DOWN = "-started_at"
    FINISHED_AT = "finished_at"
    FINISHED_AT_DOWN = "-finished_at"


@dataclass(frozen=True)
class OverviewQuery:
    """Which of a team's jobs to list: at most `limit`, starting at `offset`. No statuses means jobs of any status."""

    team_id: str
    limit: int
    statuses: tuple[JobStatus, ...] = ()
    search: str | None = None
    sort: OverviewSort = OverviewSort.CREATED_AT_DOWN
    offset: int = 0


@dataclass(frozen=True)
class QueuePlace:
    """The place of a waiting job in the queue."""

    position: int | None
    reason: WaitReason
    starts_at: datetime | None
    """Rounded up to the minute; None where it has no turn, or fits no open slot."""


@dataclass(frozen=True)
class Overview:
    """A slice of the rows, and numbers of jobs."""

    rows: Sequence[Row[Any]]
    places: Mapping[str, QueuePlace]
    """Places of the waiting jobs among the rows, by their ids."""
    total_count: int
    """Number of all jobs that match the query."""
    counts: Mapping[JobStatus, int]
    """Numbers of all jobs of the team, by status."""


# No JSON columns but the loss trace: the others take several kilobytes per job.
_COLUMNS = (
    Job.id,
    Job.name,
    Job.posted_by,
    Job.status,
    Job.phase,
    Job.priority,
    Job.priority_class,
    Job.base_model,
    Job.dataset_name,
    Job.slot,
    Job.attempt,
    Job.step,
    Job.total_steps,
    Job.last_loss,
    Job.loss_trace,
    Job.tokens_per_second,
    Job.eta_seconds,
    Job.stop_kind,
    Job.stop_requested_at,
    Job.checkpoint_step,
    Job.checkpoint_requested_at,
    Job.error_code,
    Job.error_message,
    Job.peak_gpu_bytes,
    Job.created_at,
    Job.started_at,
    Job.finished_at,
)

_SORT_KEYS: dict[str, ColumnElement[Any]] = {
    "name": func.lower(Job.name),
    "status": case({status: place for place, status in enumerate(JobStatus)}, value=Job.status),
    "last_loss": Job.last_loss.expression,
    "started_at": Job.started_at.expression,
    "finished_at": Job.finished_at.expression,
}


def read_overview(session: Session, board_keeper: BoardKeeper, query: OverviewQuery) -> Overview:
    """The jobs that the query selects."""
    is_searched = [] if query.search is None else [_make_search(query.search)]
    conditions = [Job.team_id == query.team_id, *is_searched]
    if query.statuses:
        conditions.append(Job.status.in_(query.statuses))
    page = select(*_COLUMNS).where(*conditions).order_by(*_make_order(query.sort))
    rows = session.execute(page.offset(query.offset).limit(query.limit)).all()
    counts = _count(session, Job.team_id == query.team_id)
    found = _count(session, *conditions) if is_searched else counts
    return Overview(
        rows=rows,
        places=_find_places(session, board_keeper, [row.id for row in rows if row.status is JobStatus.QUEUED]),
        total_count=sum(found[status] for status in query.statuses or JobStatus),
        counts=counts,
    )


def _make_search(text: str) -> ColumnElement[bool]:
    columns = (Job.name, Job.dataset_name, Job.base_model, Job.posted_by)
    return or_(*(column.icontains(text, autoescape=True) for column in columns), Job.id == text)


def _make_order(sort: OverviewSort) -> list[UnaryExpression[Any]]:
    name, is_down = sort.removeprefix("-"), sort.startswith("-")
    # Ids sort by age.
    by_age = Job.id.desc() if is_down else Job.id.asc()
    key = _SORT_KEYS.get(name)
    return [by_age] if key is None else [(key.desc() if is_down else key.asc()).nulls_last(), by_age]


def _count(session: Session, *conditions: ColumnElement[bool]) -> dict[JobStatus, int]:
    statement = select(Job.status, func.count().label("job_count")).where(*conditions).group_by(Job.status)
    return dict.fromkeys(JobStatus, 0) | {row.status: row.job_count for row in session.execute(statement)}


def _find_places(session: Session, board_keeper: BoardKeeper, job_ids: Sequence[str]) -> dict[str, QueuePlace]:
    if not job_ids:
        return {}
    # A board that includes the newest of them includes the others too.
    board = board_keeper.get_board(session, job_id=max(job_ids))
    places = {}
    for job_id in job_ids:
        place = board.by_id.get(job_id)
        if place is None:
            # The job has been claimed since it was read.
            continue
        reason = explain(board, place, rules=board_keeper.rules)
        position, starts_in = (place.position, place.starts_in) if isinstance(place, Place) else (None, None)
        starts_at = None if starts_in is None else _round_up(board.at + timedelta(seconds=starts_in))
        places[job_id] = QueuePlace(position, reason, starts_at)
    return places


def _round_up(moment: datetime) -> datetime:
    over = timedelta(seconds=moment.second, microseconds=moment.microsecond)
    return moment - over + START_PRECISION if over else moment
