"""The database, for the commands that use it directly."""

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
    """Open the database. Raises DatabaseUnusable, also for database errors inside the `with` block."""
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
    """Check the schema at the start of API, workers and housekeeping. Raises DatabaseUnusable if it doesn't fit.

    A database that doesn't answer keeps no process from starting: each checks the schema again before it uses it.
    """
    database = Database(settings.sqlalchemy_url)
    try:
        check_schema(database)
    except SchemaMismatch as error:
        raise DatabaseUnusable(str(error)) from error
    finally:
        database.close()
