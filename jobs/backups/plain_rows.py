"""Rows of any table as plain JSON objects and back, independent of the database and of the schema's revision.

Tables are read from the database, not from jobs/models/: a backup may be older than this release. A column that is null
is left out of the object; a JSON column that holds JSON's null is included.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    cast,
    event,
    func,
    insert,
    select,
)
from sqlalchemy.exc import DataError, IntegrityError

from jobs.errors import EmotuneError
from jobs.models import UtcDateTime

# Rows that are read or written at a time.
BATCH_ROWS = 1000

# The tables of applied migrations; a restore creates them itself.
SCHEMA_TABLES = frozenset({"alembic_version", "schema_revision"})

PlainRow = dict[str, Any]


class RowsRefused(EmotuneError):
    """The database doesn't accept the rows."""

    code = "rows_refused"


def reflect_tables(connection: Connection) -> list[Table]:
    """All tables but those of the migrations; tables that others refer to come first."""
    metadata = MetaData()
    event.listen(metadata, "column_reflect", _choose_type)
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name not in SCHEMA_TABLES]


def read_rows(connection: Connection, table: Table) -> Iterator[PlainRow]:
    """The rows of a table, in the order of their primary keys."""
    columns = [cast(column, Text).label(column.name) if _is_json(column) else column for column in table.columns]
    json_names = {column.name for column in table.columns if _is_json(column)}
    statement = select(*columns).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=BATCH_ROWS).execute(statement).mappings():
        yield {name: _to_plain(row[name], name in json_names) for name in row if row[name] is not None}


def write_rows(connection: Connection, table: Table, rows: Iterable[PlainRow]) -> int:
    """Insert rows; returns their number. Raises RowsRefused."""
    count = 0
    rows = iter(rows)
    while batch := list(islice(rows, BATCH_ROWS)):
        try:
            connection.execute(insert(table), [_from_plain(table, row) for row in batch])
        except (DataError, IntegrityError) as error:
            cause = str(error.orig).strip().partition("\n")[0]
            raise RowsRefused(f"rows {count + 1} to {count + len(batch)} of {table.name} don't fit: {cause}") from error
        count += len(batch)
    return count


def set_sequences(connection: Connection, tables: Iterable[Table]) -> None:
    """Let PostgreSQL number new rows after the inserted ones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key.columns:
            if isinstance(column.type, Integer):
                name = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
                last = connection.scalar(select(func.max(column)))
                if name is not None and last is not None:
                    connection.execute(select(func.setval(name, last)))


def _choose_type(_inspector: object, _table: Table, column: dict[str, Any]) -> None:
    if isinstance(column["type"], DateTime):
        column["type"] = UtcDateTime()
    elif isinstance(column["type"], JSON):
        column["type"] = JSON(none_as_null=True)


def _is_json(column: Any) -> bool:
    return isinstance(column.type, JSON)


def _to_plain(value: Any, is_json: bool) -> Any:
    if is_json:
        return json.loads(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _from_plain(table: Table, row: Mapping[str, Any]) -> PlainRow:
    """The values of a row for its table. Raises RowsRefused."""
    unknown = row.keys() - set(table.columns.keys())
    if unknown:
        raise RowsRefused(f"{table.name} has no column {', '.join(sorted(unknown))}")
    values: PlainRow = {}
    for column in table.columns:
        value = row.get(column.name)
        if value is None:
            # JSON's own null differs from a missing value.
            value = JSON.NULL if column.name in row else None
        elif isinstance(column.type, UtcDateTime):
            value = datetime.fromisoformat(value)
        values[column.name] = value
    return values
