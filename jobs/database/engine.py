"""Engine and sessions from a URL, for SQLite and PostgreSQL alike.

Each transaction says at its start whether it writes. SQLite then takes its write lock at once (BEGIN IMMEDIATE): a
transaction that reads first and writes later fails with "database is locked" under load, whatever the busy timeout.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

# How long a SQLite connection waits for another process's write lock.
SQLITE_BUSY_SECONDS = 30
_WAL_POLL_SECONDS = 0.01
# How long a schema change waits for a table that is being read, by a dump for example.
ALTER_LOCK_SECONDS = 20


class Database:
    """A database engine with its kinds of transactions: read, read at one moment, write, and alter."""

    def __init__(self, url: str) -> None:
        self.engine = _make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        self._read_session = sessionmaker(self.engine, expire_on_commit=False)
        self._write_session = sessionmaker(writer, expire_on_commit=False)
        # SQLite has one writer at a time. Queueing the threads of a process here keeps them out of its busy loop,
        # which sleeps blindly: p99 of an insert was 400 ms without this lock and 30 ms with it.
        self._write_turn = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads."""
        with self._read_session() as session:
            yield session

    @contextmanager
    def read_moment(self) -> Iterator[Session]:
        """A session that only reads, and sees all rows as of one moment, whatever is committed meanwhile."""
        with self._read_session() as session:
            if not self.is_sqlite:
                # SQLite's transactions already behave like this.
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One short transaction: committed at the end of the block, rolled back if it raises."""
        with self._write_turn, self._write_session.begin() as session:
            yield session

    @contextmanager
    def alter(self) -> Iterator[Connection]:
        """A transaction that may change the schema; a second one waits until the first has ended.

        Raises sqlalchemy.exc.IntegrityError when a foreign key would refer to a row that does not exist.
        """
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                with connection.begin():
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ALTER_LOCK_KEY})
                    # A transaction that waits for a table blocks all later ones from it, too.
                    connection.execute(text(f"SET LOCAL lock_timeout = '{ALTER_LOCK_SECONDS}s'"))
                    yield connection
                return
            # SQLite alters a table by making a new one. Dropping the old one must not be taken for deleting its rows,
            # and the pragma does nothing within a transaction.
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys=OFF").close()
            try:
                connection.execution_options(sqlite_begin="IMMEDIATE")
                with self._write_turn, connection.begin():
                    yield connection
                    _check_foreign_keys(connection)
            finally:
                driver.execute("PRAGMA foreign_keys=ON").close()

    def ping(self) -> None:
        """Ask the database for an answer. Raises sqlalchemy.exc.SQLAlchemyError when it can't be reached."""
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        self.engine.dispose()


def lock_claims(session: Session) -> None:
    """Let only one transaction at a time decide who claims which job. On SQLite every write transaction does so."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CLAIM_LOCK_KEY})


# An arbitrary constant that nothing else in the database uses.
_CLAIM_LOCK_KEY = 0x656D6F74756E65


_ALTER_LOCK_KEY = _CLAIM_LOCK_KEY + 1


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        message = f"a row of {broken[0]} refers to a missing row of {broken[2]}"
        raise IntegrityError(message, None, sqlite3.IntegrityError(message))


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Write a log ahead of the database. Only the first connection changes the file, and SQLite doesn't wait for it."""
    deadline = time.monotonic() + SQLITE_BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_WAL_POLL_SECONDS)
        else:
            return


def _make_engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, pool_size=20, max_overflow=20)
    path = make_url(url).database
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, connect_args={"timeout": SQLITE_BUSY_SECONDS, "check_same_thread": False}, pool_size=20, max_overflow=40
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # By default the driver would begin deferred transactions itself; with None it leaves that to the listener
        # below.
        connection.isolation_level = None
        _use_wal(connection)
        for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()
        # SQLite's built-in function handles only ASCII letters, PostgreSQL's handles all.
        connection.create_function("lower", 1, _lower, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
