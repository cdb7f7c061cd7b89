"""Claims from a long queue on PostgreSQL stay quick, and take the jobs that the board says."""

import time
from collections.abc import Iterator

import pytest

from cli.migrate import migrate
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.queue.board import draw_board
from jobs.queue.rules import QueueRules
from jobs.runs import claims
from jobs.settings import Settings
from tests.support.long_queues import fill_queue, gather_statistics, release

SHORT, LONG = 200, 20_000
ROUNDS = 15
MOST_GROWTH = 10
MOST_SECONDS = 0.05
RULES = QueueRules()

only_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    yield database
    database.close()


def measure(database: Database) -> float:
    """Measure the shortest of several claims, in seconds; each claim is undone."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with database.write() as session:
            job = claims.claim_next(session, slot="slot-1", device="cuda", lease_seconds=60, rules=RULES)
            assert job is not None
        best = min(best, time.perf_counter() - began)
        with database.write() as session:
            release(session)
    return best


@pytest.mark.alone
@only_postgresql
def test_a_claim_among_many_jobs_takes_hardly_longer(database: Database) -> None:
    found = []
    for length in (SHORT, LONG):
        with database.write() as session:
            fill_queue(session, length, now=utc_now())
            gather_statistics(session)
        found.append(measure(database))
    short, long = found
    assert long < MOST_GROWTH * short
    assert long < MOST_SECONDS


@only_postgresql
def test_slots_claim_what_the_board_says(database: Database) -> None:
    with database.write() as session:
        fill_queue(session, SHORT, now=utc_now())
    now = utc_now()
    with database.write() as session:
        board = draw_board(session, rules=RULES, now=now)
        starting = [place.job.id for place in board.places if place.starts_in == 0]
        claimed = []
        for name, device in (("slot-0", "cpu"), ("slot-1", "cuda"), ("slot-2", "cpu"), ("slot-3", "cuda")):
            job = claims.claim_next(
                session, slot=name, device="cuda" if device == "cuda" else "cpu", lease_seconds=60, rules=RULES, now=now
            )
            assert job is not None
            claimed.append(job.id)
    assert claimed == starting
