"""The cost of a census: even with very many jobs it reads indexes, and no row of an ended job or run."""

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.telemetry.census import take_census
from tests.support.long_queues import fill_queue, gather_statistics


def list_plans(session: Session) -> dict[str, list[str]]:
    """Return SQLite's query plan of each statement of a census, by the statement."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    engine = session.get_bind().engine
    event.listen(engine, "before_cursor_execute", note)
    take_census(session, seen_within_seconds=30)
    event.remove(engine, "before_cursor_execute", note)
    return {
        statement: [
            row[-1] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
        for statement, parameters in statements
    }


def test_what_has_ended_is_counted_from_indexes_alone(database: Database) -> None:
    with database.write() as session:
        fill_queue(session, 300, now=utc_now())
        gather_statistics(session)
    with database.read_moment() as session:
        plans = list_plans(session)
    # Statements about running jobs may read rows, since there are only as many as slots.
    counting = {
        statement: plan
        for statement, plan in plans.items()
        if "count(*)" in statement and "lease_expires_at" not in statement
    }
    assert len(counting) == 4
    for statement, plan in counting.items():
        reads = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
        assert reads
        assert all("USING COVERING INDEX" in step for step in reads), (statement, plan)
