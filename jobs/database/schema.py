"""Comparing the schema of the database with the one that this process was built for.

Releases before a migration work with what it makes, unless it names an `oldest_code`: the oldest revision
whose code does. Both are noted in the table schema_revision, by migrations/env.py, so that a process learns there
whether it can work with revisions that it does not know. docs/decisions/0018 has the reasons.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import structlog
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.exc import SQLAlchemyError

from jobs.database.engine import Database
from jobs.models import SchemaRevision
from jobs.release import get_release

NO_TABLES = "The database has no tables yet: run `emotune migrate`."

# Alembic's table, which has one row.
_VERSIONS = table("alembic_version", column("version_num"))

log = structlog.get_logger()


class SchemaMismatch(Exception):
    """This process can't work with the schema of this database."""


@dataclass(frozen=True)
class KnownSchema:
    """The schema that the code of this process was built for: the newest revision, and all revisions that it knows."""

    head: str
    revisions: frozenset[str]


def make_alembic_config() -> Config:
    """Alembic's configuration without a file; the migration scripts are the package `migrations`."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


@cache
def get_known_schema() -> KnownSchema:
    """The known revisions, read once when the process starts: later the files may belong to another release."""
    scripts = ScriptDirectory.from_config(make_alembic_config())
    head = scripts.get_current_head()
    if head is None:
        raise RuntimeError("no migrations are installed")
    return KnownSchema(head, frozenset(script.revision for script in scripts.walk_revisions()))


def find_revision(connection: Connection) -> str | None:
    """The revision of the database's schema; None where it has no tables."""
    # Alembic's own function writes to the log each time, and this is called every few seconds.
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    revision: str | None = connection.scalar(select(_VERSIONS.c.version_num))
    return revision


def find_mismatch(connection: Connection) -> str | None:
    """Why this process can't work with the database, and what to do about it; None when it can."""
    known, current = get_known_schema(), find_revision(connection)
    if current == known.head:
        return None
    if current is None:
        return NO_TABLES
    if current in known.revisions:
        return (
            f"The database's schema ({current}) is older than that of this release ({get_release()}, {known.head}): "
            "run `emotune migrate`."
        )
    return _judge_newer(connection, known, current)


def _judge_newer(connection: Connection, known: KnownSchema, current: str) -> str | None:
    newest = SchemaRevision.applied_at.desc()
    columns = (SchemaRevision.revision, SchemaRevision.oldest_code, SchemaRevision.emotune_version)
    unknown = connection.execute(
        select(*columns).where(SchemaRevision.revision.not_in(known.revisions)).order_by(newest)
    ).all()
    is_told = any(row.revision == current for row in unknown)
    if is_told and all(row.oldest_code is None or row.oldest_code in known.revisions for row in unknown):
        return None
    newer = unknown[0].emotune_version if unknown else "unknown"
    return (
        f"The database's schema ({current}) is of a newer release ({newer}) that this one ({get_release()}) can't work "
        "with: install the newer release here."
    )


def check_schema(database: Database) -> None:
    """Check the schema at the start of a process. Raises SchemaMismatch.

    A database that can't be reached passes; it is checked once it is back.
    """
    try:
        with database.engine.connect() as connection:
            mismatch = find_mismatch(connection)
    except SQLAlchemyError as error:
        log.warning("schema_not_checked", reason=str(error))
        return
    if mismatch is not None:
        raise SchemaMismatch(mismatch)
