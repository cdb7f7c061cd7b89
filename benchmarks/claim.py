"""How long a claim and drawing the board take, by the length of the queue, on SQLite and PostgreSQL.

    .venv/bin/python -m benchmarks.claim

Both databases are measured in one run, with 50 teams, jobs of all classes and sizes, and rows as wide as real ones.
PostgreSQL is started if its server programs are installed. "nothing" is a claim by a slot that is too small for every
job, "poll" reads the place of one job repeatedly. The exit code is 1 when the best claim takes over 50 ms.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from cli.migrate import migrate
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import Job
from jobs.queue.board import BoardKeeper, draw_board
from jobs.queue.reasons import explain
from jobs.queue.rules import QueueRules
from jobs.runs import claims
from jobs.settings import Settings
from jobs.status import JobStatus
from tests.support.long_queues import fill_queue, gather_statistics, release
from tests.support.postgres import create_database, find_postgres_binaries, run_postgres

LENGTHS = (200, 2_000, 20_000)
ROUNDS = 20
POLL_SECONDS = 5
NEEDED_SECONDS = 0.05
RULES = QueueRules()


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = {"sqlite": stack.enter_context(open_database(Settings(data_dir=folder / "sqlite")))}
        binaries = find_postgres_binaries()
        if binaries is not None:
            (folder / "server").mkdir()
            url = create_database(binaries, stack.enter_context(run_postgres(binaries, folder / "server")), "claims")
            settings = Settings(data_dir=folder / "postgresql", database_url=url)
            databases["postgresql"] = stack.enter_context(open_database(settings))
        slowest = 0.0
        names = ("claim, best", "median", "nothing", "board", "poll")
        print(f"{'waiting':>8}  {'database':<11}" + "".join(f"{name:>12}" for name in names) + "   (ms)")
        for length in LENGTHS:
            for name, database in databases.items():
                with database.write() as session:
                    fill_queue(session, length, now=utc_now())
                    gather_statistics(session)
                taken = [measure(database, claim) for _ in range(ROUNDS)]
                nothing = [measure(database, claim_nothing) for _ in range(ROUNDS)]
                drawn = [measure(database, draw) for _ in range(3)]
                polled = measure_polls(database)
                figures = (min(taken), statistics.median(taken), min(nothing), min(drawn), polled)
                print(
                    f"{length:>8,}  {name:<11} "
                    + " ".join(f"{1000 * each:>{12 if i == 0 else 8}.1f}" for i, each in enumerate(figures))
                )
                slowest = max(slowest, min(taken), min(nothing))
    sys.exit(slowest > NEEDED_SECONDS)


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    migrate(settings)
    database = Database(settings.sqlalchemy_url)
    yield database
    database.close()


def measure(database: Database, action: Callable[[Session], None]) -> float:
    """The seconds of one transaction, whose claims are then rolled back."""
    began = time.perf_counter()
    with database.write() as session:
        action(session)
    seconds = time.perf_counter() - began
    with database.write() as session:
        release(session)
    return seconds


def measure_polls(database: Database) -> float:
    """The mean seconds of one poll of a waiting job's place, at the rate of many clients."""
    keeper = BoardKeeper(RULES)
    with database.read() as session:
        job_ids = session.scalars(select(Job.id).where(Job.status == JobStatus.QUEUED).limit(100)).all()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < POLL_SECONDS:
        with database.read() as session:
            job_id = job_ids[count % len(job_ids)]
            board = keeper.get_board(session, job_id=job_id)
            explain(board, board.by_id[job_id], rules=RULES)
        count += 1
    return (time.perf_counter() - began) / count


def claim(session: Session) -> None:
    if claims.claim_next(session, slot="slot-1", device="cuda", lease_seconds=60, rules=RULES) is None:
        raise RuntimeError("nothing was claimed")


def claim_nothing(session: Session) -> None:
    if claims.claim_next(session, slot="small", device="cuda", lease_seconds=60, rules=RULES) is not None:
        raise RuntimeError("something was claimed")


def draw(session: Session) -> None:
    draw_board(session, rules=RULES)


if __name__ == "__main__":
    main()
