"""Rows become plain JSON and rows again, and values that do not fit are named."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from jobs.backups.plain_rows import BATCH_ROWS, PlainRow, RowsRefused, read_rows, reflect_tables, write_rows
from jobs.database.engine import Database
from jobs.database.schema import find_revision

ROWS: list[PlainRow] = [
    {
        "id": 1,
        "word": "häufig\n🙂",
        "is_on": True,
        "share": 0.1,
        "at": "2026-11-26T10:00:00.000001+00:00",
        "notes": {"a": [1]},
    },
    # The null of JSON is a value; a column that is null is left out.
    {"id": 2, "word": "", "is_on": False, "share": -1e300, "at": "1999-01-01T00:00:00+00:00", "notes": None},
    {"id": 2**62, "word": "null"},
]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    """A connection to a database with the tables `child` and `parent`, as if Alembic had made them."""
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    with database.engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent (id))")
        )
        columns = "id INTEGER PRIMARY KEY, word TEXT NOT NULL, is_on BOOLEAN, share DOUBLE, at DATETIME, notes JSON"
        connection.execute(text(f"CREATE TABLE parent ({columns})"))
        yield connection
    database.close()


def test_tables_come_after_those_that_they_refer_to(connection: Connection) -> None:
    assert [table.name for table in reflect_tables(connection)] == ["parent", "child"]
    assert find_revision(connection) is None


def test_rows_come_back_as_they_were(connection: Connection) -> None:
    parent, _ = reflect_tables(connection)
    assert write_rows(connection, parent, json.loads(json.dumps(ROWS))) == len(ROWS)
    assert list(read_rows(connection, parent)) == ROWS
    stored = connection.execute(text("SELECT notes, at FROM parent ORDER BY id")).all()
    assert [notes for notes, _ in stored] == ['{"a": [1]}', "null", None]
    assert stored[0].at == "2026-11-26 10:00:00.000001", "the models store times in SQLite in UTC, without a zone"


def test_more_rows_than_a_batch_has(connection: Connection) -> None:
    parent, _ = reflect_tables(connection)
    count = 2 * BATCH_ROWS + 1
    assert write_rows(connection, parent, ({"id": number, "word": "x"} for number in range(count))) == count
    assert [row["id"] for row in read_rows(connection, parent)] == list(range(count))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 3}, "rows 1 to 1 of parent don't fit: NOT NULL constraint failed: parent.word"),
        ({"id": 3, "word": "x", "colour": "red"}, "parent has no column colour"),
    ],
)
def test_what_does_not_fit_is_named(connection: Connection, row: PlainRow, message: str) -> None:
    parent, _ = reflect_tables(connection)
    with pytest.raises(RowsRefused, match=message):
        write_rows(connection, parent, [row])
