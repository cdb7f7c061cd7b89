"""Pages of a list, fetched by cursor."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from jobs.data.datasets import list_datasets
from jobs.database.engine import Database
from tests.unit.conftest import TestTeam, make_dataset

COUNT = 7


@pytest.fixture
def ids(database: Database, team: TestTeam) -> list[str]:
    """The ids of COUNT datasets, newest first."""
    return [make_dataset(database, team, str(number)).id for number in range(COUNT)][::-1]


@given(limit=st.integers(1, COUNT + 2))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
def test_pages_together_are_the_whole_list(database: Database, team: TestTeam, ids: list[str], limit: int) -> None:
    found: list[str] = []
    cursor: str | None = None
    while True:
        with database.read() as session:
            page = list_datasets(session, team_id=team.id, cursor=cursor, limit=limit)
        assert 0 < len(page.items) <= limit
        found += [item.id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == ids


def test_what_comes_later_does_not_shift_the_pages(database: Database, team: TestTeam, ids: list[str]) -> None:
    with database.read() as session:
        first = list_datasets(session, team_id=team.id, cursor=None, limit=3)
    make_dataset(database, team, "new")
    with database.read() as session:
        second = list_datasets(session, team_id=team.id, cursor=first.next_cursor, limit=10)
    assert [item.id for item in second.items] == ids[3:]


def test_an_empty_list_is_one_empty_page(database: Database, other_team: TestTeam) -> None:
    with database.read() as session:
        page = list_datasets(session, team_id=other_team.id, cursor=None, limit=3)
    assert (list(page.items), page.next_cursor) == ([], None)
