"""Bringing the database's schema to the newest revision."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from cli.database import open_database
from cli.errors import CliError
from jobs.settings import Settings


class MigrationRefused(CliError):
    """Alembic can't do that."""


def make_alembic_config() -> Config:
    """Alembic's configuration without a file: the scripts are a package of ours."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


def migrate(settings: Settings, revision: str = "head") -> None:
    """Upgrade to the revision, all of it in one transaction. Raises DatabaseUnusable and MigrationRefused."""
    config = make_alembic_config()
    with open_database(settings) as database, database.engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, revision)
        except CommandError as error:
            raise MigrationRefused(str(error)) from error
