"""`emotune migrate`: what it prints, what it refuses, and two migrations at the same time."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.api import run_api
from cli.database import DatabaseUnusable
from cli.main import app
from cli.migrate import Migration, MigrationNeeded, MigrationRefused, check_migrations, migrate
from cli.worker import run_worker
from jobs.database.engine import Database
from jobs.database.schema import get_known_schema
from jobs.release import get_release
from jobs.settings import Settings
from tests.support.newer_schemas import NEWER, migrate_further

HEAD = get_known_schema().head


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "empty")


def test_it_says_from_where_to_where_it_went(empty: Settings) -> None:
    asked = CliRunner().invoke(app, ["migrate", "--check"], env={"EMOTUNE_DATA_DIR": str(empty.data_dir)})
    assert isinstance(asked.exception, MigrationNeeded)
    with pytest.raises(MigrationNeeded, match=f"from nothing to {HEAD}"):
        check_migrations(empty)
    assert str(migrate(empty, "439641e491cb")) == "The schema was migrated from nothing to 439641e491cb."
    assert migrate(empty) == Migration("439641e491cb", HEAD)
    assert str(migrate(empty)) == check_migrations(empty) == f"The schema is up to date ({HEAD})."


def test_a_newer_schema_is_not_touched(settings: Settings, database: Database) -> None:
    migrate_further(database)
    assert migrate(settings) == Migration(NEWER, NEWER, is_newer=True)
    assert "newer release, which this one works with" in check_migrations(settings)


def test_a_newer_schema_that_this_release_cannot_work_with_is_refused(settings: Settings, database: Database) -> None:
    migrate_further(database, oldest_code=NEWER)
    for verb in (migrate, check_migrations):
        with pytest.raises(MigrationRefused, match=r"newer release \(9\.9\.9\).*Nothing was changed"):
            verb(settings)


def test_neither_api_nor_workers_start_with_a_schema_that_is_not_theirs(
    empty: Settings, settings: Settings, database: Database
) -> None:
    migrate(empty, "439641e491cb")
    migrate_further(database, oldest_code=NEWER)
    for found, advice in ((empty, "emotune migrate"), (settings, "install the newer release")):
        with pytest.raises(DatabaseUnusable, match=advice):
            run_api(found)
        for housekeeping in (False, True):
            with pytest.raises(DatabaseUnusable, match=advice):
                run_worker(found, housekeeping=housekeeping)


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_the_release_is_printed(argument: str) -> None:
    assert CliRunner().invoke(app, [argument]).output == f"{get_release()}\n"
