"""The entry point of Alembic. The URL comes from the EMOTUNE_* settings, unless the caller passes a connection."""

from collections.abc import Callable
from typing import Any, Literal, cast

from alembic import context
from alembic.autogenerate.api import AutogenContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script
from sqlalchemy import Connection, Enum, delete, insert, inspect

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import Base, SchemaRevision, UtcDateTime
from jobs.release import get_release
from jobs.settings import Settings


def render_item(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write plain types into new migrations: a migration has to mean the same after our own types have changed."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def note_revision(*, ctx: MigrationContext, step: MigrationInfo, **_: Any) -> None:
    """Record each applied migration for processes of older releases; jobs/database/schema.py reads the records."""
    connection, script = ctx.connection, cast("Script | None", step.up_revision)
    if connection is None or script is None or not inspect(connection).has_table(SchemaRevision.__tablename__):
        return
    connection.execute(delete(SchemaRevision).where(SchemaRevision.revision == script.revision))
    if step.is_upgrade:
        values = {
            "revision": script.revision,
            "oldest_code": getattr(script.module, "oldest_code", None),
            "emotune_version": get_release(),
            "applied_at": utc_now(),
        }
        connection.execute(insert(SchemaRevision).values(values))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        compare_type=True,
        # Alembic declares these parameters as positional, but passes them by name, as its documentation says.
        on_version_apply=cast("Callable[..., None]", note_revision),
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    database = Database(Settings().sqlalchemy_url)
    with database.alter() as connection:
        run(connection)
    database.close()


main()
