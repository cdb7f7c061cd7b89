"""Live metrics: the rows of the database, followed by newer metrics that are only in Redis.

A metric is identified by (attempt, seq). Redis stream ids are two numbers too, so the same cursor `attempt-seq` works
in both, and readers can continue after it even when Redis was restarted. The database gets the metrics in batches; the
stream gets each at once, and is limited in length and time.
"""

import json
import re
import time
from typing import Any, NamedTuple, cast

import structlog
from pydantic import BaseModel, Field
from pydantic_core import from_json
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from sqlalchemy import Text, func, select, tuple_
from sqlalchemy import cast as type_cast
from sqlalchemy.orm import Session

from emomodel.protocol.progress import Metric as MetricLine
from jobs.errors import CursorInvalid
from jobs.models import Metric, Run
from jobs.settings import Settings
from jobs.status import RunCause

CURSOR_FORM = re.compile(r"(\d{1,9})-(\d{1,9})")

# How long a reader waits for Redis; after that, it gets only what is in the database.
REDIS_TIMEOUT_SECONDS = 2

# How long a writer pauses after Redis didn't answer; otherwise each metric would wait for the timeout again.
REDIS_PAUSE_SECONDS = 5

log = structlog.get_logger()


class GpuReading(BaseModel):
    """The state of the slot's GPU at the time of a metric; null on a CPU slot, or if the GPU doesn't report it."""

    gpu_utilization_percent: float | None = Field(
        None, description="Of the slot's GPU a few seconds before, like the three that follow; null on a CPU slot."
    )
    gpu_memory_used_bytes: int | None = Field(None, description="By all who use the GPU.")
    gpu_temperature_celsius: float | None = None
    gpu_power_watts: float | None = None


class SampledMetric(GpuReading, MetricLine):
    """A metric with a reading of the slot's GPU."""


# This and MetricPoint are tuples because there are many of them.
class Cursor(NamedTuple):
    """The position in a job's metrics after which a reader continues."""

    attempt: int = 0
    seq: int = 0

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """The cursor in the form `attempt-seq`. Raises CursorInvalid."""
        match = CURSOR_FORM.fullmatch(text)
        if match is None:
            raise CursorInvalid(
                f"{text!r} is not a cursor; give the `cursor` of a metric, or leave `after` out.", field="after"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"


class MetricPoint(NamedTuple):
    """A metric and its cursor;

    `values` are the fields of a SampledMetric, without the GPU's in metrics of early releases.
    """

    cursor: Cursor
    values: dict[str, Any]


def make_redis(settings: Settings) -> Redis:
    """A Redis client that fails fast: by default, redis-py would retry for seconds while the caller waits."""
    return Redis.from_url(
        settings.redis_client_url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class MetricStream:
    """The metrics in Redis. While Redis can't be reached, publishing only logs a warning, and reading finds nothing."""

    def __init__(self, redis: Redis, *, length: int, expire_seconds: float) -> None:
        self._redis = redis
        self._length = length
        self._expire_ms = int(expire_seconds * 1000)
        self._paused_until = 0.0
        self._is_reading = True

    def publish(self, job_id: str, cursor: Cursor, metric: MetricLine) -> None:
        """Add a metric; if that fails, readers get it later from the database."""
        if time.monotonic() < self._paused_until:
            return
        body = json.dumps(get_metric_values(metric))
        key = _get_key(job_id)
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.xadd(key, {"values": body}, id=str(cursor), maxlen=self._length, approximate=True)
                pipeline.pexpire(key, self._expire_ms)
                pipeline.execute()
        except ResponseError as error:
            # The id is not above the last one: the run was fenced, or the metric is already there.
            log.warning("metric_refused", job_id=job_id, cursor=str(cursor), reason=str(error))
        except RedisError as error:
            self._paused_until = time.monotonic() + REDIS_PAUSE_SECONDS
            log.warning("metric_not_published", job_id=job_id, cursor=str(cursor), reason=str(error))

    def read(self, job_id: str, after: Cursor, limit: int) -> list[MetricPoint]:
        """Up to `limit` metrics after the cursor, up to the first gap."""
        try:
            entries = self._redis.xrange(_get_key(job_id), min=f"({after}", max="+", count=limit)
        except RedisError as error:
            if self._is_reading:
                # Logged once per outage, as every follower reads every second.
                log.warning("metrics_not_read", reason=str(error))
            self._is_reading = False
            return []
        self._is_reading = True
        # The client's types cover every decoding mode; this client returns bytes.
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", entries)
        points = [MetricPoint(Cursor.parse(place.decode()), json.loads(fields[b"values"])) for place, fields in found]
        return _take_unbroken(points, after)


def read_metrics(
    session: Session, stream: MetricStream, *, job_id: str, after: Cursor, limit: int
) -> list[MetricPoint]:
    """Up to `limit` metrics after the cursor, oldest first, without duplicates.

    The caller has found the job through its team.
    """
    points = _read_stored(session, job_id, after, limit)
    if len(points) < limit:
        last = points[-1].cursor if points else after
        points += stream.read(job_id, last, limit - len(points))
    return points


def list_curve_steps(session: Session, *, job_id: str) -> list[int]:
    """The steps of a job's curve that are in the database, ascending.

    Steps that a run repeats replace the earlier ones. A job that started again with smaller batches is a new training:
    metrics from before don't count.
    """
    begins_after = (
        select(func.coalesce(func.max(Run.attempt), 0))
        .where(Run.job_id == job_id, Run.cause == RunCause.SMALLER_BATCH)
        .scalar_subquery()
    )
    statement = (
        select(Metric.values["step"].as_integer())
        .where(Metric.job_id == job_id, Metric.attempt > begins_after)
        .order_by(Metric.attempt, Metric.seq)
    )
    steps: list[int] = []
    for step in session.scalars(statement):
        while steps and steps[-1] >= step:
            steps.pop()
        steps.append(step)
    return steps


def find_last_metric(session: Session, *, job_id: str, attempt: int) -> tuple[int, int]:
    """The seq and the step of a run's newest metric in the database; zeros when there is none."""
    statement = (
        select(Metric.seq, Metric.values["step"].as_integer())
        .where(Metric.job_id == job_id, Metric.attempt == attempt)
        .order_by(Metric.seq.desc())
        .limit(1)
    )
    row = session.execute(statement).one_or_none()
    return (row[0], row[1]) if row is not None else (0, 0)


def get_metric_values(line: MetricLine) -> dict[str, Any]:
    """The fields of a metric as stored and sent. JSON can't express infinity or NaN, so such numbers become null."""
    values: dict[str, Any] = json.loads(line.model_dump_json(exclude={"type"}))
    return values


def _take_unbroken(points: list[MetricPoint], after: Cursor) -> list[MetricPoint]:
    """The metrics up to the first gap: a reader that skipped it would miss those that are yet to reach the database."""
    last = after
    unbroken = []
    for point in points:
        is_next = point.cursor == Cursor(last.attempt, last.seq + 1)
        is_next_attempt = point.cursor.attempt > last.attempt and point.cursor.seq == 1
        if not is_next and not is_next_attempt:
            break
        unbroken.append(point)
        last = point.cursor
    return unbroken


def _read_stored(session: Session, job_id: str, after: Cursor, limit: int) -> list[MetricPoint]:
    place = tuple_(Metric.attempt, Metric.seq)
    # A complete curve may be requested: columns instead of objects, and their JSON parsed at once.
    statement = (
        select(Metric.attempt, Metric.seq, type_cast(Metric.values, Text).label("text"))
        .where(Metric.job_id == job_id, place > (after.attempt, after.seq))
        .order_by(Metric.attempt, Metric.seq)
        .limit(limit)
    )
    rows = session.execute(statement).all()
    values = from_json(f"[{','.join([text for _, _, text in rows])}]")
    return [MetricPoint(Cursor(attempt, seq), each) for (attempt, seq, _), each in zip(rows, values, strict=True)]


def _get_key(job_id: str) -> str:
    return f"emotune:metrics:{job_id}"
