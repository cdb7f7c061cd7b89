"""The migrations on both databases, with rows in all tables: scripts/check_migrations.py says what is checked."""

from pathlib import Path

from scripts.check_migrations import check


def test_every_migration_goes_up_down_and_up_again_with_its_rows(tmp_path: Path, database_url: str | None) -> None:
    check(
        f"sqlite:///{tmp_path / 'emotune.db'}"
        if database_url is None
        else database_url.replace("postgresql", "postgresql+psycopg", 1)
    )
