"""Rows of any table as plain JSON objects, and back: the same for SQLite and PostgreSQL, and for every schema's age.

Tables are as the database says they are, not as jobs/models/ has them: a backup may be older than this release. A
column that is null is left out of the object; a JSON column that holds JSON's own null has it.
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

# Rows that are read, and written, at a time.
BATCH_ROWS = 1000

# Of the migrations that a database has had; a restore has them anew.
SCHEMA_TABLES = frozenset({"alembic_version", "schema_revision"})

PlainRow = dict[str, Any]


class RowsRefused(EmotuneError):
    """The database doesn't take the rows."""

    code = "rows_refused"


def reflect_tables(connection: Connection) -> list[Table]:
    """All tables but those of the migrations; those that others refer to first."""
    metadata = MetaData()
    event.listen(metadata, "column_reflect", _choose_type)
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name not in SCHEMA_TABLES]


def read_rows(connection: Connection, table: Table) -> Iterator[PlainRow]:
    """In the order of their primary keys."""
    columns = [cast(column, Text).label(column.name) if _is_json(column) else column for column in table.columns]
    json_names = {column.name for column in table.columns if _is_json(column)}
    statement = select(*columns).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=BATCH_ROWS).execute(statement).mappings():
        yield {name: _to_plain(row[name], name in json_names) for name in row if row[name] is not None}


def write_rows(connection: Connection, table: Table, rows: Iterable[PlainRow]) -> int:
    """Returns how many they were. Raises RowsRefused."""
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
    """Have PostgreSQL number new rows after those that were written; SQLite does so by itself."""
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
    """Raises RowsRefused."""
    unknown = row.keys() - set(table.columns.keys())
    if unknown:
        raise RowsRefused(f"{table.name} has no column {', '.join(sorted(unknown))}")
    values: PlainRow = {}
    for column in table.columns:
        value = row.get(column.name)
        if value is None:
            # The word for JSON's own null is told from no value at all.
            value = JSON.NULL if column.name in row else None
        elif isinstance(column.type, UtcDateTime):
            value = datetime.fromisoformat(value)
        values[column.name] = value
    return values
