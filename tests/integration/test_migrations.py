"""The migrations on both databases: they make the tables of jobs/models.py, and go up, down and up again."""

from jobs.settings import Settings
from scripts.check_migrations import check


def test_every_migration_goes_up_down_and_up_again(settings: Settings) -> None:
    check(settings.sqlalchemy_url)
