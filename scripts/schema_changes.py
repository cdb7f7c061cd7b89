"""Compares schemas, and finds what a migration breaks for the releases before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, inspect
from sqlalchemy.engine.interfaces import (
    ReflectedCheckConstraint,
    ReflectedColumn,
    ReflectedForeignKeyConstraint,
    ReflectedIndex,
    ReflectedPrimaryKeyConstraint,
    ReflectedUniqueConstraint,
)

from scripts.made_rows import VERSION_TABLE


@dataclass(frozen=True)
class Shape:
    """A table without the order of its columns, which changes when one is dropped and added again."""

    # By name: the type, whether it may be null, and the default.
    columns: dict[str, tuple[str, bool, str | None]]
    # Columns of the indexes by name; the others need no names.
    indexes: dict[str, tuple[str, ...]]
    # Rules that refuse rows.
    rules: frozenset[tuple[Any, ...]]


# A table's schema, None for the default one, and its name.
TableKey = tuple[str | None, str]


@dataclass(frozen=True)
class _Reflected:
    """What the database reports about its tables: each kind of thing by table."""

    columns: Mapping[TableKey, Sequence[ReflectedColumn]]
    indexes: Mapping[TableKey, Sequence[ReflectedIndex]]
    unique: Mapping[TableKey, Sequence[ReflectedUniqueConstraint]]
    checks: Mapping[TableKey, Sequence[ReflectedCheckConstraint]]
    foreign_keys: Mapping[TableKey, Sequence[ReflectedForeignKeyConstraint]]
    keys: Mapping[TableKey, ReflectedPrimaryKeyConstraint]


def read_shapes(connection: Connection) -> dict[str, Shape]:
    """Read each kind of thing for all tables at once: PostgreSQL takes as long for one table as for all."""
    inspector = inspect(connection)
    found = _Reflected(
        columns=inspector.get_multi_columns(),
        indexes=inspector.get_multi_indexes(),
        unique=inspector.get_multi_unique_constraints(),
        checks=inspector.get_multi_check_constraints(),
        foreign_keys=inspector.get_multi_foreign_keys(),
        keys=inspector.get_multi_pk_constraint(),
    )
    return {table[1]: _make_shape(found, table) for table in found.columns if table[1] != VERSION_TABLE}


def _make_shape(found: _Reflected, table: TableKey) -> Shape:
    indexes = found.indexes[table]
    columns = {
        column["name"]: (str(column["type"]), column["nullable"], column["default"]) for column in found.columns[table]
    }
    unique = [("unique", *sorted(map(str, index["column_names"]))) for index in indexes if index["unique"]]
    unique += [("unique", *sorted(each["column_names"])) for each in found.unique[table]]
    checks = [("check", str(each["sqltext"])) for each in found.checks[table]]
    foreign = [
        ("foreign key", *each["constrained_columns"], each["referred_table"], *each["referred_columns"])
        for each in found.foreign_keys[table]
    ]
    return Shape(
        columns=columns,
        indexes={str(index["name"]): tuple(map(str, index["column_names"])) for index in indexes},
        rules=frozenset([*unique, *checks, *foreign, ("key", *found.keys[table]["constrained_columns"])]),
    )


def find_breaks(before: dict[str, Shape], after: dict[str, Shape]) -> list[str]:
    """Return what code that was written for the schema `before` can't work with in the one `after`."""
    breaks = [f"{table} is gone" for table in before if table not in after]
    for table, old in before.items():
        if table in after:
            breaks += [f"{table}{found}" for found in _find_breaks(old, after[table])]
    return breaks


def _find_breaks(old: Shape, new: Shape) -> list[str]:
    found = [f".{name} is gone" for name in old.columns if name not in new.columns]
    for name, (kind, is_nullable, default) in new.columns.items():
        if name not in old.columns:
            if not is_nullable and default is None:
                found.append(f".{name} must be given, and older code doesn't know it")
        elif old.columns[name][:2] != (kind, is_nullable):
            found.append(f".{name} has another type, or may or must not be null any more")
        elif old.columns[name][2] is not None and default is None and not is_nullable:
            found.append(f".{name} has no default any more")
    return found + [f" has a new rule: {' '.join(map(str, rule))}" for rule in sorted(new.rules - old.rules)]
