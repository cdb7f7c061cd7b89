"""A database as a later release leaves it."""

from sqlalchemy import insert, text

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import SchemaRevision

NEWER = "f00dfeed0001"


def migrate_further(database: Database, *, oldest_code: str | None = None) -> None:
    """Apply one revision that only adds: a table, a column that may be null, and one that has a default."""
    with database.alter() as connection:
        connection.execute(
            text("CREATE TABLE trace (id VARCHAR(40) PRIMARY KEY, job_id VARCHAR(40) REFERENCES job (id))")
        )
        connection.execute(text("ALTER TABLE job ADD COLUMN mood VARCHAR(20)"))
        connection.execute(text("ALTER TABLE run ADD COLUMN carbon_grams FLOAT DEFAULT 0 NOT NULL"))
    note_revision(database, NEWER, oldest_code=oldest_code)


def note_revision(database: Database, revision: str, *, oldest_code: str | None = None, is_noted: bool = True) -> None:
    """Record a migration of a newer release as it does itself; without `is_noted` it has left no record."""
    row = {"revision": revision, "oldest_code": oldest_code, "emotune_version": "9.9.9", "applied_at": utc_now()}
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
        if is_noted:
            session.execute(insert(SchemaRevision).values(row))
