"""Resources: what the tasks of one process work with."""

import socket
from dataclasses import dataclass

from celery import Celery

from jobs.database import Database
from jobs.metrics import MetricStream, make_redis
from jobs.queue import Doorbell
from jobs.settings import Settings
from jobs.storage import Storage
from worker.drain import Drain


@dataclass(frozen=True)
class Resources:
    """Opened in the process that uses them: a connection must not go through a fork."""

    settings: Settings
    database: Database
    storage: Storage
    stream: MetricStream
    doorbell: Doorbell
    drain: Drain
    host: str

    @classmethod
    def open(cls, settings: Settings, celery: Celery, drain: Drain) -> "Resources":
        return cls(
            settings=settings,
            database=Database(settings.sqlalchemy_url),
            storage=Storage(settings.data_dir),
            stream=MetricStream(
                make_redis(settings),
                length=settings.metric_stream_length,
                expire_seconds=settings.metric_stream_seconds,
            ),
            doorbell=Doorbell(celery),
            drain=drain,
            host=socket.gethostname(),
        )
