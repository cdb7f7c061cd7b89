"""What of a schema can be compared, and what a migration breaks for the releases before it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Inspector, inspect

from scripts.made_rows import VERSION_TABLE


@dataclass(frozen=True)
class Shape:
    """A table, without the order of its columns: that changes where one is dropped and comes back."""

    # By name: type, whether it may be null, and the default.
    columns: dict[str, tuple[str, bool, str | None]]
    # Columns by name for indexes; the rest needs none.
    indexes: dict[str, tuple[str, ...]]
    # What keeps rows out.
    rules: frozenset[tuple[Any, ...]]


def read_shapes(connection: Connection) -> dict[str, Shape]:
    inspector = inspect(connection)
    return {name: _read_shape(inspector, name) for name in inspector.get_table_names() if name != VERSION_TABLE}


def _read_shape(inspector: Inspector, table: str) -> Shape:
    indexes = inspector.get_indexes(table)
    columns = {
        column["name"]: (str(column["type"]), column["nullable"], column["default"])
        for column in inspector.get_columns(table)
    }
    unique = [("unique", *sorted(map(str, index["column_names"]))) for index in indexes if index["unique"]]
    unique += [("unique", *sorted(each["column_names"])) for each in inspector.get_unique_constraints(table)]
    checks = [("check", str(each["sqltext"])) for each in inspector.get_check_constraints(table)]
    foreign = [
        ("foreign key", *each["constrained_columns"], each["referred_table"], *each["referred_columns"])
        for each in inspector.get_foreign_keys(table)
    ]
    return Shape(
        columns=columns,
        indexes={str(index["name"]): tuple(map(str, index["column_names"])) for index in indexes},
        rules=frozenset(
            [*unique, *checks, *foreign, ("key", *inspector.get_pk_constraint(table)["constrained_columns"])]
        ),
    )


def find_breaks(before: dict[str, Shape], after: dict[str, Shape]) -> list[str]:
    """What code that was written for the schema `before` would stumble over in the one `after`."""
    breaks = [f"{table} is gone" for table in before if table not in after]
    for table, old in before.items():
        if table in after:
            breaks += [f"{table}{told}" for told in _find_breaks(old, after[table])]
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
