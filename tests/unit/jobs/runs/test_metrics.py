"""Live metrics: what a reader sees while the database lags behind the stream, or the stream loses points."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomodel.protocol.progress import Metric as MetricLine
from jobs.database.engine import Database
from jobs.errors import CursorInvalid
from jobs.models import Dataset, Job, Metric
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.runs.metrics import Cursor, MetricStream, find_last_metric, get_metric_values, list_curve_steps, read_metrics
from tests.support.redis_doubles import MemoryRedis
from tests.unit.jobs.runs.test_claims import add_job, claimed, make_line

JOB_ID = "job_00000000000000000000000000"


@pytest.fixture
def redis() -> MemoryRedis:
    return MemoryRedis()


@pytest.fixture
def stream(redis: MemoryRedis) -> MetricStream:
    return MetricStream(redis.as_client(), length=100, expire_seconds=60)


def publish(stream: MetricStream, *places: tuple[int, int], job_id: str = JOB_ID) -> None:
    for attempt, seq in places:
        stream.publish(job_id, Cursor(attempt, seq), make_line(seq))


def store(database: Database, job_id: str, *places: tuple[int, int]) -> None:
    with database.write() as session:
        for attempt, seq in places:
            session.add(Metric(job_id=job_id, attempt=attempt, seq=seq, values=get_metric_values(make_line(seq))))


def read(stream: MetricStream, after: Cursor, limit: int = 100) -> list[str]:
    return [str(point.cursor) for point in stream.read(JOB_ID, after, limit)]


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
def test_a_cursor_reads_back_what_it_writes(attempt: int, seq: int) -> None:
    assert Cursor.parse(str(Cursor(attempt, seq))) == Cursor(attempt, seq)


@pytest.mark.parametrize("text", ["", "1", "1-", "-1", "1-2-3", "a-b", "1-2 ", "1-" + "9" * 13, "+", "$"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        Cursor.parse(text)


def test_a_reader_continues_after_its_cursor(stream: MetricStream) -> None:
    publish(stream, (1, 1), (1, 2), (1, 3))
    assert read(stream, Cursor()) == ["1-1", "1-2", "1-3"]
    assert read(stream, Cursor(1, 2)) == ["1-3"]
    assert read(stream, Cursor(1, 3)) == []
    assert read(stream, Cursor(), limit=2) == ["1-1", "1-2"]


def test_the_stream_expires_and_is_bounded(redis: MemoryRedis) -> None:
    stream = MetricStream(redis.as_client(), length=3, expire_seconds=60)
    publish(stream, *[(1, seq) for seq in range(1, 6)])
    assert [seq for entries in redis.streams.values() for _, seq in entries] == [3, 4, 5]
    assert list(redis.expiry_ms.values()) == [60_000]


def test_a_point_that_is_there_already_is_not_doubled(stream: MetricStream) -> None:
    publish(stream, (1, 1), (1, 1))
    assert read(stream, Cursor()) == ["1-1"]


def test_a_new_attempt_begins_at_one_wherever_the_last_one_ended(stream: MetricStream) -> None:
    publish(stream, (1, 1), (1, 2), (2, 1), (2, 2))
    assert read(stream, Cursor(1, 1)) == ["1-2", "2-1", "2-2"]


def test_a_reader_waits_at_a_gap_until_the_database_has_filled_it(
    database: Database, dataset: Dataset, stream: MetricStream, redis: MemoryRedis
) -> None:
    job_id = add_job(database, dataset)
    publish(stream, (1, 1), job_id=job_id)
    publish(stream, (1, 3), (1, 4), job_id=job_id)

    def read_both(after: Cursor) -> list[str]:
        with database.read() as session:
            points = read_metrics(session, stream, job_id=job_id, after=after, limit=100)
        return [str(point.cursor) for point in points]

    assert read_both(Cursor()) == ["1-1"]
    store(database, job_id, (1, 1), (1, 2))
    assert read_both(Cursor(1, 1)) == ["1-2", "1-3", "1-4"]


@given(
    stored=st.integers(0, 8),
    total=st.integers(0, 8),
    lost=st.sets(st.integers(1, 8)),
    page=st.integers(1, 9),
)
def test_a_follower_gets_each_point_once_whatever_the_stream_lost(
    stored: int, total: int, lost: set[int], page: int
) -> None:
    """Read the stream alone: what it returns always continues the cursor without a gap."""
    redis = MemoryRedis()
    stream = MetricStream(redis.as_client(), length=100, expire_seconds=60)
    publish(stream, *[(1, seq) for seq in range(1, total + 1) if seq not in lost])
    after, seen = Cursor(1, stored), []
    while points := stream.read(JOB_ID, after, page):
        seen += [point.cursor.seq for point in points]
        after = points[-1].cursor
    expected = []
    for seq in range(stored + 1, total + 1):
        if seq in lost:
            break
        expected.append(seq)
    assert seen == expected


def test_a_redis_that_is_away_costs_one_try_and_no_error(redis: MemoryRedis, stream: MetricStream) -> None:
    redis.is_away = True
    publish(stream, (1, 1), (1, 2), (1, 3))
    assert redis.call_count == 1
    assert read(stream, Cursor()) == []


def test_without_redis_the_database_answers(
    database: Database, dataset: Dataset, stream: MetricStream, redis: MemoryRedis
) -> None:
    job_id = add_job(database, dataset)
    store(database, job_id, (1, 1), (1, 2), (2, 1))
    redis.is_away = True
    with database.read() as session:
        assert session.get(Job, job_id) is not None
        points = read_metrics(session, stream, job_id=job_id, after=Cursor(1, 1), limit=1)
    assert [str(point.cursor) for point in points] == ["1-2"]


def test_an_infinite_norm_is_stored_as_null() -> None:
    line = make_line(1).model_copy(update={"grad_norm": math.inf})
    values = get_metric_values(line)
    assert values["grad_norm"] is None
    assert set(values) == set(MetricLine.model_fields) - {"type"}


@pytest.mark.parametrize(
    ("attempts", "steps"),
    [
        ([], []),
        ([[2, 4, 6]], [2, 4, 6]),
        ([[1, 2, 3, 4], [3, 4, 5]], [1, 2, 3, 4, 5]),
        ([[1, 2, 3, 4], [3]], [1, 2, 3]),
        ([[1, 2], [], [5, 6]], [1, 2, 5, 6]),
    ],
    ids=["nothing", "one run", "done again", "less than before", "a hole"],
)
def test_the_steps_of_a_curve_are_those_of_one_training(
    database: Database, dataset: Dataset, attempts: list[list[int]], steps: list[int]
) -> None:
    job_id = add_job(database, dataset)
    store_attempts(database, job_id, attempts)
    with database.read() as session:
        assert list_curve_steps(session, job_id=job_id) == steps
        lasts = [find_last_metric(session, job_id=job_id, attempt=number + 1) for number in range(len(attempts))]
    assert lasts == [(len(done), done[-1]) if done else (0, 0) for done in attempts]


def test_a_job_that_restarts_with_smaller_batches_has_none_of_its_earlier_steps(
    database: Database, dataset: Dataset
) -> None:
    job_id = add_job(database, dataset)
    job = claimed(database)
    with database.write() as session:
        run_ends.retry_smaller(session, job_id=job_id, attempt=job.attempt, end=RunEnd(1), message="again")
    store_attempts(database, job_id, [[1, 2, 3], [1]])
    with database.read() as session:
        assert list_curve_steps(session, job_id=job_id) == [1]


def store_attempts(database: Database, job_id: str, attempts: list[list[int]]) -> None:
    """Store metrics for the given steps of each attempt."""
    with database.write() as session:
        for attempt, steps in enumerate(attempts, start=1):
            for seq, step in enumerate(steps, start=1):
                values = get_metric_values(make_line(step))
                session.add(Metric(job_id=job_id, attempt=attempt, seq=seq, values=values))
