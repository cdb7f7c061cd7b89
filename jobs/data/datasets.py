"""Datasets: adding, finding, listing and deleting their rows."""

from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, defer

from jobs.database.pages import Page, read_page
from jobs.errors import DatasetInUse, DatasetNotFound
from jobs.models import Dataset, Job
from jobs.status import FINAL_STATUSES


def add_dataset(
    session: Session,
    *,
    dataset_id: str,
    team_id: str,
    name: str,
    size_bytes: int,
    sha256: str,
    axes: list[str],
    example_count: int,
    report: dict[str, Any],
) -> Dataset:
    """Add the row of a dataset whose file is already in storage under this id."""
    dataset = Dataset(
        id=dataset_id,
        team_id=team_id,
        name=name,
        size_bytes=size_bytes,
        sha256=sha256,
        axes=axes,
        example_count=example_count,
        report=report,
    )
    session.add(dataset)
    session.flush()
    return dataset


def get_dataset(
    session: Session, *, team_id: str, dataset_id: str, for_job: bool = False, field: str = "dataset_id"
) -> Dataset:
    """The team's dataset with this id. Raises DatasetNotFound, also for a dataset of another team.

    With `for_job` the row is locked against deletion until the transaction ends. `field` is the field of the request
    that names the dataset, for the error.
    """
    statement = select(Dataset).where(Dataset.team_id == team_id, Dataset.id == dataset_id)
    if for_job:
        statement = statement.with_for_update(read=True)
    dataset = session.scalar(statement)
    if dataset is None:
        raise DatasetNotFound(field=field)
    return dataset


def list_datasets(session: Session, *, team_id: str, cursor: str | None, limit: int) -> Page[Dataset]:
    """A page of the team's datasets, newest first, without their reports, which may be long."""
    statement = select(Dataset).where(Dataset.team_id == team_id).options(defer(Dataset.report, raiseload=True))
    return read_page(session, statement, Dataset, cursor=cursor, limit=limit)


def delete_dataset(session: Session, *, team_id: str, dataset_id: str) -> None:
    """Delete the row; the caller deletes the file after the commit. Raises DatasetNotFound and DatasetInUse."""
    statement = select(Dataset).where(Dataset.team_id == team_id, Dataset.id == dataset_id).with_for_update()
    dataset = session.scalar(statement)
    if dataset is None:
        raise DatasetNotFound(field="dataset_id")
    uses = or_(Job.dataset_id == dataset_id, Job.validation_dataset_id == dataset_id)
    job_id = session.scalar(select(Job.id).where(uses, Job.status.not_in(FINAL_STATUSES)).limit(1))
    if job_id is not None:
        raise DatasetInUse(f"job {job_id} has not ended and uses this dataset. Cancel the job, or wait for its end.")
    session.delete(dataset)


def find_twin(session: Session, *, team_id: str, sha256: str) -> str | None:
    """The id of one of the team's datasets with this content, or None."""
    return session.scalar(select(Dataset.id).where(Dataset.team_id == team_id, Dataset.sha256 == sha256).limit(1))


def find_known_ids(session: Session) -> set[str]:
    """The ids of all teams' datasets. Housekeeping deletes the dataset files that belong to none of them."""
    return set(session.scalars(select(Dataset.id)))
