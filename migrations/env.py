"""Alembic's entry: the URL comes from EMOTUNE_* settings, or from the caller's connection."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, Enum

from jobs.database import Database
from jobs.models import Base, UtcDateTime
from jobs.settings import Settings


def render_item(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Scripts name plain types: they must mean the same when our own have changed."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return False


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=render_item,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    database = Database(Settings().sqlalchemy_url)
    with database.engine.begin() as connection:
        run(connection)
    database.close()


main()
