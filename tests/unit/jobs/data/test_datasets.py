"""The verbs on datasets."""

import pytest
from sqlalchemy.exc import InvalidRequestError

from jobs.data import datasets
from jobs.database.engine import Database
from jobs.errors import DatasetInUse, DatasetNotFound
from jobs.models import Dataset
from jobs.runs import stops
from jobs.status import JobStatus
from tests.unit.conftest import TestTeam, make_dataset
from tests.unit.jobs.posting.test_create import create


def test_a_dataset_is_got_through_its_team(database: Database, dataset: Dataset, other_team: TestTeam) -> None:
    with database.read() as session:
        assert datasets.get_dataset(session, team_id=dataset.team_id, dataset_id=dataset.id).name == "chats"
        with pytest.raises(DatasetNotFound):
            datasets.get_dataset(session, team_id=other_team.id, dataset_id=dataset.id)


def test_lists_do_not_read_the_reports(database: Database, team: TestTeam) -> None:
    made = [make_dataset(database, team, name).id for name in ("a", "b")]
    with database.read() as session:
        page = datasets.list_datasets(session, team_id=team.id, cursor=None, limit=10)
        assert [item.id for item in page.items] == made[::-1]
        with pytest.raises(InvalidRequestError):
            _ = page.items[0].report


def test_a_dataset_goes_when_no_job_needs_it(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        job = create(session, dataset)
        with pytest.raises(DatasetInUse, match=job.id):
            datasets.delete_dataset(session, team_id=dataset.team_id, dataset_id=dataset.id)
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id)
        assert job.status is JobStatus.CANCELLED
        datasets.delete_dataset(session, team_id=dataset.team_id, dataset_id=dataset.id)
    with database.read() as session, pytest.raises(DatasetNotFound):
        datasets.get_dataset(session, team_id=dataset.team_id, dataset_id=dataset.id)


def test_another_teams_dataset_can_not_be_deleted(database: Database, dataset: Dataset, other_team: TestTeam) -> None:
    with database.write() as session, pytest.raises(DatasetNotFound):
        datasets.delete_dataset(session, team_id=other_team.id, dataset_id=dataset.id)
    with database.read() as session:
        datasets.get_dataset(session, team_id=dataset.team_id, dataset_id=dataset.id)
