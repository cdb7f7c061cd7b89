"""Checks the migrations, each with rows in all tables and columns, made by scripts/made_rows.py:

- Together they make exactly the tables of jobs/models/, with the models' defaults, and the models read all rows.
- Each goes up, down and up again. No row is lost or changed, as far as the lower schema can hold it.
- Code of the release before works with what it makes, or it names an `oldest_code` (jobs/database/schema.py).

On SQLite in a temporary folder, and also on the database of EMOTUNE_DATABASE_URL where that is set. Exits 1 with what
is wrong.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Enum, MetaData, select
from sqlalchemy.orm import undefer
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from jobs.database.engine import Database
from jobs.database.schema import find_revision, make_alembic_config
from jobs.models import Base, SchemaRevision
from scripts.made_rows import Row, RowMaker, list_models, reflect, take_all
from scripts.schema_changes import Shape, find_breaks, read_shapes

Rows = dict[str, dict[tuple[Any, ...], Row]]


class MigrationFault(Exception):
    """A migration breaks a rule."""


class MigrationCheck:
    """One database that is migrated step by step."""

    def __init__(self, database: Database, config: Config | None = None) -> None:
        self._database = database
        self._config = config or make_alembic_config()
        self._maker = RowMaker()
        self._schemas: dict[str | None, MetaData] = {None: MetaData()}

    def walk(self) -> int:
        """Migrate an empty database to the newest revision; returns the number of migrations. Raises MigrationFault."""
        scripts = list(ScriptDirectory.from_config(self._config).walk_revisions("base", "heads"))
        for script in reversed(scripts):
            self.take_step(script)
        self.run("check")
        with self._database.alter() as connection:
            self._maker.fill(connection, self._reflect(connection), with_all_words=True)
            self._check_defaults(connection)
        self._read_by_models()
        return len(scripts)

    def take_step(self, script: Script) -> None:
        """Run a migration up, down and up again, from the revision before it. Raises MigrationFault."""
        before, shapes_before = self._take_all(), self._read_shapes()
        self.run("upgrade", script.revision)
        shapes_after = self._read_shapes()
        _compare(f"{script.revision} up", before, self._take_all())
        breaks = find_breaks(shapes_before, shapes_after)
        if breaks and getattr(script.module, "oldest_code", None) is None:
            raise MigrationFault(f"{script.revision} breaks the release before it and names no oldest_code: {breaks}")
        self.fill()
        full = self._take_all()
        self.run("downgrade", "-1")
        if self._read_shapes() != shapes_before:
            raise MigrationFault(f"{script.revision} down doesn't lead back to the schema before it")
        lower = self._take_all()
        kept = _cut(full, lower)
        _compare(f"{script.revision} down", kept, lower)
        self.run("upgrade", script.revision)
        if self._read_shapes() != shapes_after:
            raise MigrationFault(f"{script.revision} up again leads to another schema than at first")
        _compare(f"{script.revision} up again", kept, self._take_all())
        self.fill()

    def _check_defaults(self, connection: Connection) -> None:
        """Check that columns which older code omits get the models' defaults."""
        for table in self._reflect(connection).sorted_tables:
            key = self._maker.insert_sparse(connection, table)
            where = [column == value for column, value in zip(table.primary_key.columns, key, strict=True)]
            row = connection.execute(select(table).where(*where)).mappings().one()
            for column in table.columns:
                default = Base.metadata.tables[table.name].c[column.name].default
                if column.server_default is None or not isinstance(default, ScalarElementColumnDefault):
                    continue
                expected = getattr(default.arg, "value", default.arg)
                if row[column.name] != expected:
                    difference = f"is {row[column.name]!r} by default, and not {expected!r}"
                    raise MigrationFault(f"{table.name}.{column.name} {difference}")

    def _read_by_models(self) -> None:
        with self._database.read() as session:
            for model in list_models():
                found = session.scalars(select(model).options(undefer("*"))).all()
                words = {
                    column.name: column.type.enums
                    for column in model.__table__.columns
                    if isinstance(column.type, Enum)
                }
                for name, known in words.items():
                    found_words = {getattr(row, name) for row in found} - {None}
                    if {word.value for word in found_words} != set(known):
                        raise MigrationFault(f"not all words of {model.__tablename__}.{name} were tried")

    def run(self, verb: str, *arguments: str) -> None:
        with self._database.alter() as connection:
            self._config.attributes["connection"] = connection
            getattr(command, verb)(self._config, *arguments)

    def fill(self) -> None:
        """Make rows in all tables."""
        with self._database.alter() as connection:
            self._maker.fill(connection, self._reflect(connection))

    def _take_all(self) -> Rows:
        with self._database.engine.connect() as connection:
            return take_all(connection, self._reflect(connection))

    def _reflect(self, connection: Connection) -> MetaData:
        """Read the schema, once for each revision; its shapes check that it is always the same."""
        revision = find_revision(connection)
        if revision not in self._schemas:
            self._schemas[revision] = reflect(connection)
        return self._schemas[revision]

    def _read_shapes(self) -> dict[str, Shape]:
        with self._database.engine.connect() as connection:
            return read_shapes(connection)


def _cut(full: Rows, lower: Rows) -> Rows:
    """Return the part of the rows that the tables and columns of the lower schema hold."""
    return {
        table: {key: {name: row[name] for name in _name_columns(lower[table])} for key, row in rows.items()}
        for table, rows in full.items()
        if table in lower
    }


def _name_columns(rows: dict[tuple[Any, ...], Row]) -> list[str]:
    return list(next(iter(rows.values()))) if rows else []


def _compare(what: str, expected: Rows, found: Rows) -> None:
    """Raise MigrationFault unless all expected rows are there; there may be more."""
    for table, rows in expected.items():
        if table == SchemaRevision.__tablename__:
            # The migrations themselves write to this table.
            continue
        for key, row in rows.items():
            now = found.get(table, {}).get(key)
            if now is None:
                raise MigrationFault(f"{what} loses the row {key} of {table}")
            for name, value in row.items():
                if name in now and now[name] != value:
                    raise MigrationFault(f"{what} changes {table}.{name} of {key}: {value!r} to {now[name]!r}")


def check(url: str) -> None:
    """Check all migrations in an empty database, which is empty again at the end. Raises MigrationFault."""
    database = Database(url)
    try:
        check = MigrationCheck(database)
        count = check.walk()
        check.run("downgrade", "base")
    finally:
        database.close()
    print(f"{database.engine.dialect.name}: {count} migrations go up, down and up again, with rows in all tables")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="emotune-migrations-") as folder:
        check(f"sqlite:///{Path(folder) / 'emotune.db'}")
    if url := os.environ.get("EMOTUNE_DATABASE_URL"):
        check(url)


if __name__ == "__main__":
    main()
