"""Which schemas this release works with: its own, and newer ones that declare themselves compatible."""

import pytest
from sqlalchemy import select, text

from jobs.database.engine import Database
from jobs.database.schema import SchemaMismatch, check_schema, find_mismatch, get_known_schema
from jobs.models import SchemaRevision
from jobs.release import get_release
from tests.support.newer_schemas import migrate_further, note_revision

HEAD = get_known_schema().head
FIRST_REVISION = "439641e491cb"


def find(database: Database) -> str | None:
    with database.engine.connect() as connection:
        return find_mismatch(connection)


def test_the_migrations_record_themselves(database: Database) -> None:
    with database.read() as session:
        noted = session.scalars(select(SchemaRevision)).all()
    assert [(row.revision, row.oldest_code, row.emotune_version) for row in noted if row.revision == HEAD] == [
        (HEAD, None, get_release())
    ]
    assert find(database) is None


def test_a_database_without_tables_or_with_older_ones_has_to_be_migrated(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :first"), {"first": FIRST_REVISION})
    told = find(database) or ""
    assert all(word in told for word in (FIRST_REVISION, HEAD, "older", "emotune migrate"))
    with database.write() as session:
        session.execute(text("DELETE FROM alembic_version"))
    assert "no tables" in (find(database) or "")
    with pytest.raises(SchemaMismatch, match="no tables"):
        check_schema(database)


@pytest.mark.parametrize(
    ("codes", "is_welcome"),
    [
        ([None], True),
        ([None, None], True),
        ([HEAD], True),
        ([FIRST_REVISION], True),
        (["newer-0"], False),
        ([None, "newer-1"], False),
        # A migration that breaks this release does so whatever comes after it.
        (["newer-0", None], False),
    ],
)
def test_a_newer_schema_is_worked_with_unless_one_of_its_migrations_forbids_it(
    database: Database, codes: list[str | None], is_welcome: bool
) -> None:
    for number, oldest_code in enumerate(codes):
        note_revision(database, f"newer-{number}", oldest_code=oldest_code)
    told = find(database)
    assert (told is None) is is_welcome
    if told is not None:
        assert all(word in told for word in ("9.9.9", get_release(), "install the newer release"))


def test_a_newer_schema_without_records_is_refused(database: Database) -> None:
    note_revision(database, "newer-0", is_noted=False)
    assert "can't work" in (find(database) or "")


def test_a_database_that_is_away_keeps_nobody_from_starting() -> None:
    check_schema(Database("postgresql+psycopg://127.0.0.1:9/x"))


def test_code_of_this_release_writes_to_a_newer_schema(database: Database) -> None:
    migrate_further(database)
    check_schema(database)
