"""Installations to back up and to restore into."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.models import Dataset
from jobs.settings import Settings
from tests.support.boxes import Box, put
from tests.unit.conftest import TestTeam


@pytest.fixture
def box(database: Database, settings: Settings) -> Box:
    return Box(database, Storage(settings.data_dir))


@pytest.fixture
def other_box(tmp_path: Path) -> Iterator[Box]:
    """An empty installation, without tables."""
    database = Database(f"sqlite:///{tmp_path / 'other' / 'emotune.db'}")
    yield Box(database, Storage(tmp_path / "other"))
    database.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "backup.tar"


@pytest.fixture
def archive_path(box: Box, team: TestTeam, dataset: Dataset, target: Path) -> Path:
    put(box.storage, f"datasets/{dataset.id}.jsonl")
    box.back_up(target)
    return target
