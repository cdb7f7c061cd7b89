"""Migrates the database's schema to the newest revision."""

from collections.abc import Callable
from dataclasses import dataclass

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from cli.database import open_database
from cli.errors import CliError
from jobs.database.schema import find_mismatch, find_revision, get_known_schema, make_alembic_config
from jobs.settings import Settings


class MigrationRefused(CliError):
    """The migration can't be done, or must not."""


class MigrationNeeded(CliError):
    """The schema is older than this release."""


@dataclass(frozen=True)
class Migration:
    """The database's revision before (None without tables) and after."""

    before: str | None
    after: str | None
    is_newer: bool = False

    def __str__(self) -> str:
        if self.is_newer:
            return f"The schema ({self.after}) is of a newer release, which this one works with. Nothing was changed."
        if self.before == self.after:
            return f"The schema is up to date ({self.after})."
        return f"The schema was migrated from {self.before or 'nothing'} to {self.after}."


def migrate(settings: Settings, revision: str = "head") -> Migration:
    """Upgrade to the revision in one transaction; a second migration that is started meanwhile waits.

    Raises DatabaseUnusable and MigrationRefused.
    """
    with open_database(settings) as database, database.alter() as connection:
        before = find_revision(connection)
        if _is_newer(connection, before):
            return Migration(before, before, is_newer=True)
        upgrade(connection, revision)
        return Migration(before, find_revision(connection))


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Upgrade within the caller's transaction, of Database.alter. Raises MigrationRefused."""
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


def check_migrations(settings: Settings) -> str:
    """Return a message if there is nothing to migrate. Raises MigrationNeeded, MigrationRefused, DatabaseUnusable."""
    head = get_known_schema().head
    with open_database(settings) as database, database.engine.connect() as connection:
        current = find_revision(connection)
        is_newer = _is_newer(connection, current)
    if current != head and not is_newer:
        raise MigrationNeeded(f"the schema has to be migrated from {current or 'nothing'} to {head}: `emotune migrate`")
    return str(Migration(current, current, is_newer=is_newer))


def _is_newer(connection: Connection, current: str | None) -> bool:
    """Whether a newer release has migrated the database. Raises MigrationRefused where this one can't work with it."""
    if current is None or current in get_known_schema().revisions:
        return False
    mismatch = find_mismatch(connection)
    if mismatch is not None:
        raise MigrationRefused(f"{mismatch} Nothing was changed; the only way back is a backup.")
    return True
