"""Transactions on SQLite: writers wait for each other instead of failing, and no transaction is stored in part."""

import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from jobs.database.engine import Database
from jobs.models import Team

WRITERS = 6
ROUNDS = 15


def count_teams(database: Database) -> int:
    with database.read() as session:
        return session.query(Team).count()


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    def write_twins() -> None:
        with database.write() as session:
            session.add(Team(name="reds"))
            session.flush()
            session.add(Team(name="reds"))

    with pytest.raises(IntegrityError):
        write_twins()
    assert count_teams(database) == 0


def test_sqlite_is_set_up_for_many_processes(database: Database) -> None:
    with database.read() as session:
        pragmas = {name: session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}


def test_writers_that_read_first_never_find_the_database_locked(database: Database) -> None:
    """With deferred transactions most of these would fail at once, whatever the busy timeout."""
    with database.write() as session:
        session.add(Team(id="team_0", name="0"))
    errors: list[Exception] = []

    def increment() -> None:
        own = Database(str(database.engine.url))
        try:
            for _ in range(ROUNDS):
                with own.write() as session:
                    team = session.get_one(Team, "team_0")
                    team.name = str(int(team.name) + 1)
        except Exception as error:
            errors.append(error)
            raise
        finally:
            own.close()

    threads = [threading.Thread(target=increment) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with database.read() as session:
        assert session.get_one(Team, "team_0").name == str(WRITERS * ROUNDS)


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as session:
        session.add(Team(name="reds"))
        session.flush()
        assert count_teams(database) == 0
    assert count_teams(database) == 1


def test_the_folder_of_a_new_database_is_made(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'deep' / 'emotune.db'}")
    database.ping()
    database.close()
    assert (tmp_path / "deep" / "emotune.db").exists()
