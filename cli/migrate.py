"""Bringing the database's schema to the newest revision."""

from collections.abc import Callable
from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

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
    with open_database(settings) as database, database.engine.begin() as connection:
        upgrade(connection, revision)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """The same within the caller's transaction. Raises MigrationRefused."""
    _run(connection, command.upgrade, revision)


def empty(connection: Connection) -> None:
    """Drop all tables, within the caller's transaction. Raises MigrationRefused."""
    _run(connection, command.downgrade, "base")


def _run(connection: Connection, verb: Callable[[Config, str], None], revision: str) -> None:
    config = make_alembic_config()
    config.attributes["connection"] = connection
    try:
        verb(config, revision)
    except CommandError as error:
        raise MigrationRefused(str(error)) from error
