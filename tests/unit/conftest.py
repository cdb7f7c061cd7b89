"""A database made by the real migrations: made once per test session as a file, of which each test gets a copy."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from jobs.access.teams import create_key, get_or_create_team
from jobs.data.datasets import add_dataset
from jobs.database.engine import Database
from jobs.ids import new_id
from jobs.models import Dataset
from jobs.settings import Settings

AXES = ["SADNESS_JOY", "FEAR_COURAGE"]


@dataclass(frozen=True)
class TestTeam:
    """A team with a key, as its members have it."""

    __test__ = False

    id: str
    name: str
    key_id: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"}


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an empty database with the newest schema."""
    path = tmp_path_factory.mktemp("schema") / "emotune.db"
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    database = Database(f"sqlite:///{path}")
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    database.close()
    return path


@pytest.fixture
def settings(tmp_path: Path, migrated_file: Path) -> Settings:
    """The settings of a separate installation, with one base model and no Redis."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    shutil.copy(migrated_file, data_dir / "emotune.db")
    model = tmp_path / "tiny-gemma"
    model.mkdir()
    (model / "config.json").write_text("{}")
    return Settings(
        data_dir=data_dir,
        base_models={"tiny-gemma": str(model)},
        min_free_disk_bytes=0,
        host_name="box",
        slot="slot-0",
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings.sqlalchemy_url)
    yield database
    database.close()


def make_team(database: Database, name: str) -> TestTeam:
    with database.write() as session:
        team = get_or_create_team(session, name=name)
        key, secret = create_key(session, team=team, name="laptop")
        return TestTeam(id=team.id, name=name, key_id=key.id, secret=secret)


def make_dataset(database: Database, team: TestTeam, name: str = "chats") -> Dataset:
    """Add the row of a dataset, without a file."""
    with database.write() as session:
        return add_dataset(
            session,
            dataset_id=new_id("ds"),
            team_id=team.id,
            name=name,
            size_bytes=100,
            sha256="0" * 64,
            axes=AXES,
            example_count=1,
            report={"line_count": 1},
        )


@pytest.fixture
def team(database: Database) -> TestTeam:
    return make_team(database, "reds")


@pytest.fixture
def other_team(database: Database) -> TestTeam:
    return make_team(database, "blues")


@pytest.fixture
def dataset(database: Database, team: TestTeam) -> Dataset:
    return make_dataset(database, team)
