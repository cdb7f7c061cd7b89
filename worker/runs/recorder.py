"""Recorder: writes a run's heartbeats, metrics and news to the database, in its own thread.

So the run's other parts never wait for the database, and packing a bundle for a minute does not let the lease expire.
Each write is one short transaction. While the database is unavailable, the write is repeated; without a renewed lease
the run counts as lost, as another worker may have its job by then.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Self, TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from emomodel.protocol.progress import Metric
from jobs.database.engine import Database
from jobs.errors import RunFenced
from jobs.runs import claims
from jobs.status import StopKind
from worker.threads import PeriodicThread

# How long the end of a run waits for the database: its files are stored, and only their rows are missing.
FINISH_PATIENCE_SECONDS = 600.0

# The errors of a database that is locked, restarting or unreachable.
TRANSIENT_ERRORS = (OperationalError, InterfaceError)

Verb = Callable[[Session], object]
T = TypeVar("T")

log = structlog.get_logger()


class Recorder:
    """A context manager: the heartbeats begin on entry and end on exit, or with `finish`."""

    def __init__(
        self,
        database: Database,
        *,
        job_id: str,
        attempt: int,
        heartbeat_seconds: float,
        flush_seconds: float,
        lease_seconds: float,
    ) -> None:
        self._database = database
        self._job_id = job_id
        self._attempt = attempt
        self._heartbeat_seconds = heartbeat_seconds
        self._flush_seconds = flush_seconds
        self._lease_seconds = lease_seconds
        self._lease_ends = time.monotonic() + lease_seconds
        self._flush_at = time.monotonic()
        self._verbs: list[Verb] = []
        self._metrics: list[tuple[int, Metric]] = []
        self._lock = threading.Lock()
        self._heartbeat = claims.Heartbeat(stop=None, checkpoint_requested_at=None)
        self._fenced = False
        self._thread = PeriodicThread(self._keep, interval_seconds=heartbeat_seconds, name="recorder")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.stop()

    @property
    def stop(self) -> StopKind | None:
        """What the run should stop for, or None."""
        return self._heartbeat.stop

    @property
    def checkpoint_requested_at(self) -> datetime | None:
        """When a checkpoint was requested that is not saved yet, or None."""
        return self._heartbeat.checkpoint_requested_at

    @property
    def is_lost(self) -> bool:
        """Whether the job continues without this run, or may do so."""
        return self._fenced or time.monotonic() > self._lease_ends

    def add(self, verb: Verb) -> None:
        """Write something with the next heartbeat, in the order of the calls."""
        with self._lock:
            self._verbs.append(verb)

    def add_metric(self, seq: int, metric: Metric) -> None:
        """Write a metric with the next batch."""
        with self._lock:
            self._metrics.append((seq, metric))

    def finish(self, verb: Callable[[Session], T]) -> T:
        """Write what is pending and the run's last verb, in one transaction; return what that verb returns.

        Raises RunFenced, SQLAlchemyError.
        """
        self._thread.stop()
        deadline = time.monotonic() + FINISH_PATIENCE_SECONDS
        while True:
            try:
                with self._database.write() as session:
                    self._write_metrics(session, self._metrics)
                    for added in self._verbs:
                        added(session)
                    outcome = verb(session)
            except TRANSIENT_ERRORS as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("finish_retried", job_id=self._job_id, reason=str(error))
                time.sleep(self._heartbeat_seconds)
            except RunFenced:
                raise
            except Exception:
                if not self._verbs and not self._metrics:
                    raise
                log.exception("news_dropped", job_id=self._job_id)
                self._drop_news()
            else:
                return outcome

    def _keep(self) -> None:
        if self._fenced:
            return
        try:
            self._beat()
        except RunFenced:
            self._fenced = True
        except TRANSIENT_ERRORS as error:
            log.warning("heartbeat_failed", job_id=self._job_id, reason=str(error))
        except Exception:
            # Something that the database will never accept. The run matters more than its news: it continues.
            log.exception("news_dropped", job_id=self._job_id)
            self._drop_news()

    def _beat(self) -> None:
        """Renew the lease and write what is pending, in one transaction; drop it only after the commit."""
        now = time.monotonic()
        with self._lock:
            verbs = list(self._verbs)
            metrics = list(self._metrics) if now >= self._flush_at else []
        with self._database.write() as session:
            heartbeat = claims.heartbeat(
                session, job_id=self._job_id, attempt=self._attempt, lease_seconds=self._lease_seconds
            )
            self._write_metrics(session, metrics)
            for verb in verbs:
                verb(session)
        with self._lock:
            del self._verbs[: len(verbs)]
            del self._metrics[: len(metrics)]
        if metrics:
            self._flush_at = now + self._flush_seconds
        self._lease_ends = now + self._lease_seconds
        self._heartbeat = heartbeat

    def _drop_news(self) -> None:
        with self._lock:
            self._verbs.clear()
            self._metrics.clear()

    def _write_metrics(self, session: Session, metrics: list[tuple[int, Metric]]) -> None:
        if metrics:
            claims.record_metrics(session, job_id=self._job_id, attempt=self._attempt, metrics=metrics)
