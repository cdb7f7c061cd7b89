"""Retention: how long results of ended jobs and unused datasets are kept, and deleting them afterwards.

Everything is kept forever unless the operator sets a limit. A job's row, its runs and its events are always kept. What
an unfinished job needs is never deleted: the rules apply to ended jobs only, and the rule for datasets checks for jobs.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, exists, func, or_, select
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.models import Artifact, Dataset, Job, Metric, Team
from jobs.records import BUNDLE_KIND, add_event
from jobs.settings import DAY_SECONDS, PREFIX, Settings
from jobs.status import FINAL_STATUSES

HOUR_SECONDS = 3600

# The kind of the event that records a deletion.
DELETED_EVENT = "deleted"


class Keeping(StrEnum):
    """What an operator may keep for a limited time; each has a setting `keep_<word>_seconds`."""

    BUNDLES = "bundles"
    LOGS = "logs"
    METRICS = "metrics"
    DATASETS = "datasets"

    @property
    def setting(self) -> str:
        return f"{PREFIX}KEEP_{self.value.upper()}_SECONDS"


@dataclass(frozen=True)
class KeepRules:
    """How many seconds each kind is kept; a kind that is missing is kept forever."""

    seconds: dict[Keeping, float]

    @classmethod
    def of(cls, settings: Settings) -> "KeepRules":
        found = {keeping: getattr(settings, f"keep_{keeping}_seconds") for keeping in Keeping}
        return cls({keeping: seconds for keeping, seconds in found.items() if seconds is not None})

    def find_limit(self, keeping: Keeping, now: datetime) -> datetime | None:
        """The time before which this kind is deleted; None when it is kept forever."""
        seconds = self.seconds.get(keeping)
        return None if seconds is None else now - timedelta(seconds=seconds)

    def describe(self, keeping: Keeping) -> str:
        """The reason for a deletion; completes a sentence that starts with "They are"."""
        since = "without a job that uses them" if keeping is Keeping.DATASETS else "after the job's end"
        return f"kept for {describe_seconds(self.seconds[keeping])} {since} ({keeping.setting})"


def describe_seconds(seconds: float) -> str:
    """A time in days, or in hours when it is shorter than a day."""
    unit, name = (DAY_SECONDS, "day") if seconds >= DAY_SECONDS else (HOUR_SECONDS, "hour")
    count = round(seconds / unit, 1)
    return f"{count:g} {name}{'' if count == 1 else 's'}"


def list_due_artifacts(session: Session, *, keeping: Keeping, before: datetime) -> Sequence[tuple[str, str, str, int]]:
    """(job_id, team, kind, size_bytes) of the artifacts, not deleted yet, of jobs that ended before this time.

    Keeping.BUNDLES selects bundles, Keeping.LOGS all other artifacts.
    """
    is_bundle = Artifact.kind == BUNDLE_KIND
    statement = (
        select(Artifact.job_id, Team.name, Artifact.kind, Artifact.size_bytes)
        .join(Job, Job.id == Artifact.job_id)
        .join(Team, Team.id == Job.team_id)
        .where(
            Artifact.deleted_at.is_(None), _has_ended(before), is_bundle if keeping is Keeping.BUNDLES else ~is_bundle
        )
        .order_by(Artifact.job_id, Artifact.kind)
    )
    return [(job_id, team, kind, size) for job_id, team, kind, size in session.execute(statement)]


def find_ended(session: Session, *, job_ids: Collection[str], before: datetime) -> dict[str, str]:
    """The team's name of each of these jobs that ended before this time, by the job's id."""
    rows = session.execute(
        select(Job.id, Team.name).join(Team, Team.id == Job.team_id).where(_has_ended(before)).order_by(Job.id)
    )
    return {job_id: team for job_id, team in rows if job_id in job_ids}


def list_due_metrics(session: Session, *, before: datetime) -> Sequence[tuple[str, str, int]]:
    """(job_id, team, number of metrics) of jobs that ended before this time."""
    statement = (
        select(Metric.job_id, Team.name, func.count())
        .join(Job, Job.id == Metric.job_id)
        .join(Team, Team.id == Job.team_id)
        .where(_has_ended(before))
        .group_by(Metric.job_id, Team.name)
        .order_by(Metric.job_id)
    )
    return [(job_id, team, count) for job_id, team, count in session.execute(statement)]


def list_unused_datasets(session: Session, *, before: datetime) -> Sequence[tuple[str, str, str, int]]:
    """(id, team_id, team, size_bytes) of datasets uploaded before this time that no job has used since or needs now."""
    names_it = or_(Job.dataset_id == Dataset.id, Job.validation_dataset_id == Dataset.id)
    counts = or_(Job.status.not_in(FINAL_STATUSES), Job.created_at >= before, Job.finished_at >= before)
    statement = (
        select(Dataset.id, Dataset.team_id, Team.name, Dataset.size_bytes)
        .join(Team, Team.id == Dataset.team_id)
        .where(Dataset.created_at < before, ~exists().where(names_it, counts))
        .order_by(Dataset.id)
    )
    return [(dataset_id, team_id, team, size) for dataset_id, team_id, team, size in session.execute(statement)]


def list_lately_withdrawn(session: Session, *, since: datetime) -> list[str]:
    """The ids of jobs with artifacts withdrawn since this time, whose files may still exist."""
    statement = select(Artifact.job_id).where(Artifact.deleted_at >= since).distinct().order_by(Artifact.job_id)
    return list(session.scalars(statement))


def withdraw_artifacts(session: Session, *, job_id: str, kinds: Collection[str], reason: str) -> list[str]:
    """Mark artifacts as deleted; returns the names of their files, which the caller deletes after the commit."""
    job = _lock(session, job_id)
    found = session.scalars(
        select(Artifact)
        .where(Artifact.job_id == job_id, Artifact.kind.in_(kinds), Artifact.deleted_at.is_(None))
        .order_by(Artifact.kind)
    ).all()
    for artifact in found:
        artifact.deleted_at = utc_now()
    if found:
        what = ", ".join(artifact.kind for artifact in found)
        _note(session, job, f"Deleted: {what}. Such files are {reason}.")
    return [artifact.filename for artifact in found]


def delete_metrics(session: Session, *, job_id: str, reason: str) -> None:
    """Delete all metrics of an ended job. Its row keeps the short loss curve."""
    job = _lock(session, job_id)
    count = session.scalar(select(func.count()).select_from(Metric).where(Metric.job_id == job_id))
    session.execute(delete(Metric).where(Metric.job_id == job_id))
    if count:
        _note(session, job, f"Deleted: {count} points of its metrics. They are {reason}.")


def _has_ended(before: datetime) -> Any:
    return Job.status.in_(FINAL_STATUSES) & (Job.finished_at < before)


def _lock(session: Session, job_id: str) -> Job:
    return session.scalars(select(Job).where(Job.id == job_id).with_for_update()).one()


def _note(session: Session, job: Job, message: str) -> None:
    add_event(session, job_id=job.id, attempt=job.attempt, kind=DELETED_EVENT, message=message)
