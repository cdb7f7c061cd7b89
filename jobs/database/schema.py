"""The database's schema, beside the one that this process was built for.

Releases before a migration go on working with what it makes, unless it names an `oldest_code`: the oldest revision
whose code does. Both are noted in the table schema_revision, by migrations/env.py, so that a process learns there
whether it may work with revisions that it has never heard of. docs/decisions/0018 has the reasons.
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

# Alembic's table, of one row.
_VERSIONS = table("alembic_version", column("version_num"))

log = structlog.get_logger()


class SchemaMismatch(Exception):
    """This process must not work with this database."""


@dataclass(frozen=True)
class KnownSchema:
    """What the code of this process was built for: its newest revision, and all that it knows."""

    head: str
    revisions: frozenset[str]


def make_alembic_config() -> Config:
    """Alembic's configuration without a file: the scripts are a package of ours."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    return config


@cache
def get_known_schema() -> KnownSchema:
    """Read once, when the process starts: later the files may be those of another release."""
    scripts = ScriptDirectory.from_config(make_alembic_config())
    head = scripts.get_current_head()
    if head is None:
        raise RuntimeError("no migration is installed")
    return KnownSchema(head, frozenset(script.revision for script in scripts.walk_revisions()))


def find_revision(connection: Connection) -> str | None:
    """What the database is at; None where it has no tables."""
    # Alembic's own way writes to the log each time, and this is asked every few seconds.
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    revision: str | None = connection.scalar(select(_VERSIONS.c.version_num))
    return revision


def find_mismatch(connection: Connection) -> str | None:
    """Why this process must not work with the database, in words that say what to do, or None."""
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
    """For the start of a process. Raises SchemaMismatch; a database that is away is judged when it is back."""
    try:
        with database.engine.connect() as connection:
            mismatch = find_mismatch(connection)
    except SQLAlchemyError as error:
        log.warning("schema_not_checked", reason=str(error))
        return
    if mismatch is not None:
        raise SchemaMismatch(mismatch)
