"""The database, for the commands that go straight to it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from cli.errors import CliError
from jobs.database.engine import Database
from jobs.database.schema import SchemaMismatch, check_schema
from jobs.settings import Settings


class DatabaseUnusable(CliError):
    """The database can't be reached, or has no tables yet."""


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Raises DatabaseUnusable, also for what fails within."""
    try:
        database = Database(settings.sqlalchemy_url)
        try:
            yield database
        finally:
            database.close()
    except (SQLAlchemyError, ImportError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise DatabaseUnusable(
            f"the database can't be used ({cause}). Check EMOTUNE_DATABASE_URL and EMOTUNE_DATA_DIR; "
            "`emotune migrate` makes the tables"
        ) from error


def refuse_other_schema(settings: Settings) -> None:
    """For the start of API, workers and housekeeping. Raises DatabaseUnusable where the schema is not for this release.

    A database that is away keeps nobody from starting: each process sees to the schema again before it uses it.
    """
    database = Database(settings.sqlalchemy_url)
    try:
        check_schema(database)
    except SchemaMismatch as error:
        raise DatabaseUnusable(str(error)) from error
    finally:
        database.close()
