"""The migrations on both databases, with rows in all tables; scripts/check_migrations.py describes what is checked."""

import threading
from pathlib import Path

import pytest

from cli.migrate import Migration, migrate
from jobs.database.schema import get_known_schema
from jobs.settings import Settings
from scripts.check_migrations import check


@pytest.fixture
def settings(tmp_path: Path, database_url: str | None) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url)


def test_every_migration_goes_up_down_and_up_again_with_its_rows(settings: Settings) -> None:
    check(settings.sqlalchemy_url)


def test_of_two_simultaneous_migrations_one_finds_nothing_to_do(settings: Settings) -> None:
    found: list[Migration] = []
    threads = [threading.Thread(target=lambda: found.append(migrate(settings))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    head = get_known_schema().head
    assert sorted(found, key=lambda migration: migration.before or "") == [Migration(None, head), Migration(head, head)]
