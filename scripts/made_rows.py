"""Makes rows for any schema from what the database reports about it: types, lengths, foreign keys, unique constraints.

Each value is another one, so that unique constraints hold whatever their columns are. Columns that hold one of a set of
words get each of them in turn; which words there are is known from jobs/models/.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Enum,
    Float,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    insert,
    select,
)
from sqlalchemy.exc import IntegrityError

from jobs.models import Base

# Longer than the texts that a database keeps inside a row.
LONG_TEXT_LENGTH = 5_000
# More than 32 bits.
LARGE = 2**40
START = datetime(2026, 1, 1, tzinfo=UTC)
# Alembic's own table.
VERSION_TABLE = "alembic_version"

Row = dict[str, Any]


def reflect(connection: Connection) -> MetaData:
    """Return the current schema."""
    metadata = MetaData()
    metadata.reflect(connection)
    metadata.remove(metadata.tables[VERSION_TABLE])
    return metadata


class RowMaker:
    """Makes values with a running number, so that no two are equal."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def fill(self, connection: Connection, schema: MetaData, *, with_all_words: bool = False) -> None:
        """Add several rows to each table: some with a value in every column, the last with as few as possible."""
        for table in schema.sorted_tables:
            words = (len(_list_words(table.name, column.name)) for column in table.columns)
            for _ in range(max(2, *words) if with_all_words else 2):
                _insert(connection, table, self.make_row(connection, table))
            self.insert_sparse(connection, table)

    def insert_sparse(self, connection: Connection, table: Table) -> tuple[Any, ...]:
        """Add a row that leaves all defaults to the database; returns its primary key."""
        row = self.make_row(connection, table)
        keys = set(table.primary_key.columns.keys())
        return _insert(
            connection,
            table,
            {
                name: value
                for name, value in row.items()
                if name in keys or not (table.c[name].nullable or table.c[name].server_default is not None)
            },
        )

    def make_row(self, connection: Connection, table: Table) -> Row:
        """Return a value for each column, except for one that the database numbers."""
        number = next(self._count)
        row = {
            column.name: self._make_value(table, column, number)
            for column in table.columns
            if not is_counter(table, column)
        }
        for constraint in table.foreign_key_constraints:
            row |= _point_to_parent(connection, constraint, number)
        return row

    def _make_value(self, table: Table, column: Column[Any], number: int) -> Any:
        words = _list_words(table.name, column.name)
        if words:
            return words[number % len(words)]
        match column.type:
            case Text():
                return f"{number} " + "läng\n" * (LONG_TEXT_LENGTH // 5)
            case String(length=length):
                return f"{number:07d}".ljust(min(length or 100, 100), "é")
            case JSON():
                return {"number": number, "list": [1.5, "ü", None, True], "deep": {"empty": {}, "nothing": None}}
            case DateTime():
                return START + timedelta(seconds=number, microseconds=123_456)
            case Boolean():
                return number % 2 == 1
            case BigInteger():
                return LARGE + number
            case Integer():
                return number
            case Numeric() | Float():
                return number + 0.125
        raise TypeError(f"{table.name}.{column.name}: scripts/made_rows.py makes no values of the type {column.type!r}")


def take_all(connection: Connection, schema: MetaData) -> dict[str, dict[tuple[Any, ...], Row]]:
    """Return all rows by table and primary key."""
    return {
        table.name: {
            tuple(row[key] for key in table.primary_key.columns.keys()): dict(row)  # noqa: SIM118 - not a dict
            for row in connection.execute(select(table)).mappings()
        }
        for table in schema.sorted_tables
    }


def _insert(connection: Connection, table: Table, row: Row) -> tuple[Any, ...]:
    try:
        return tuple(connection.execute(insert(table).values(row)).inserted_primary_key or ())
    except IntegrityError as error:
        message = f"{table.name} takes no row that was made from its columns alone: scripts/made_rows.py needs a rule"
        raise ValueError(message) from error


def _list_words(table: str, column: str) -> list[str]:
    model = Base.metadata.tables.get(table)
    found = model.columns.get(column) if model is not None else None
    return list(found.type.enums) if found is not None and isinstance(found.type, Enum) else []


def is_counter(table: Table, column: Column[Any]) -> bool:
    """Return whether the database numbers the rows by this column."""
    keys = list(table.primary_key.columns)
    return keys == [column] and isinstance(column.type, Integer) and not column.foreign_keys


def _point_to_parent(connection: Connection, constraint: ForeignKeyConstraint, number: int) -> Row:
    """Return the key of a row of the other table, each in turn."""
    elements = constraint.elements
    parents = connection.execute(select(*(element.column for element in elements))).all()
    parent = parents[number % len(parents)]
    return {element.parent.name: value for element, value in zip(elements, parent, strict=True)}


def list_models() -> Iterator[type[Base]]:
    for mapper in Base.registry.mappers:
        yield mapper.class_
