"""Claims and polls stay fast when the queue is long: here on SQLite, in tests/integration on PostgreSQL."""

import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.queue.board import BoardKeeper
from jobs.queue.rules import QueueRules
from jobs.runs import claims
from tests.support.long_queues import fill_queue, release

SHORT, LONG = 200, 20_000
ROUNDS = 10
# This bounds the growth for a hundred times as many jobs. Reading row by row, a claim took 300 times as long, and with
# correlated subqueries even longer.
MOST_GROWTH = 10
MOST_SECONDS = 0.05
RULES = QueueRules()


def measure(database: Database, action: Callable[[Session], object]) -> float:
    """Return the least CPU seconds of several rounds, each rolled back.

    SQLite runs in this process, so they include its work.
    """
    best = float("inf")
    for _ in range(ROUNDS):
        with database.write() as session:
            began = time.process_time()
            assert action(session) is not None
            session.flush()
            best = min(best, time.process_time() - began)
            release(session)
    return best


def claim(session: Session) -> object:
    return claims.claim_next(session, slot="slot-1", device="cuda", lease_seconds=60, rules=RULES)


def test_a_claim_among_many_jobs_takes_hardly_longer(database: Database) -> None:
    with database.write() as session:
        fill_queue(session, SHORT, now=utc_now())
    short = measure(database, claim)
    with database.write() as session:
        fill_queue(session, LONG, now=utc_now())
    long = measure(database, claim)
    assert long < MOST_GROWTH * short
    assert long < MOST_SECONDS


def test_a_poll_of_a_long_queue_does_not_order_it_each_time(database: Database) -> None:
    with database.write() as session:
        fill_queue(session, 2000, now=utc_now())
    keeper = BoardKeeper(RULES)
    with database.read() as session:
        began = time.process_time()
        keeper.get_board(session)
        first = time.process_time() - began
        began = time.process_time()
        for _ in range(100):
            keeper.get_board(session)
        assert time.process_time() - began < first
