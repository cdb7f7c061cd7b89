"""What the API counts of its requests, for Prometheus: how many, and how long until the answer began."""

import os
from collections.abc import Iterable

from prometheus_client import Counter, Histogram, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.types import Scope

LABELS = ("method", "route", "status")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# Names a folder where several processes keep their counts (cli/api.py). It is prometheus_client's own variable, which
# it reads when it is imported.
COUNTS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# In place of what a client may choose freely: each value would be a series of its own, kept for ever.
OTHER = "other"
# The client disconnected before an answer had begun.
NO_STATUS = "none"

# Seconds. Reads take some milliseconds; uploads, and writes that wait for SQLite's one writer, take longer.
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0)


class RequestMeter(Collector):
    """Counts since the start of the API. Threads may share it.

    Where the API is several processes, each counts in a file of a folder that they share, and each reports the sums,
    including those of processes that have been replaced.
    """

    def __init__(self) -> None:
        self._requests = Counter("emotune_http_requests", "HTTP requests by route.", LABELS, registry=None)
        self._seconds = Histogram(
            "emotune_http_request_duration_seconds",
            "Seconds from a request to the beginning of its answer; live feeds and downloads continue after it.",
            LABELS,
            registry=None,
            buckets=BUCKETS,
        )

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one request. Where no answer has begun, `status` is 0 and `seconds` is the time until now."""
        method = scope["method"] if scope["method"] in METHODS else OTHER
        # Pages, their assets and unknown paths have no route.
        route = getattr(scope.get("route"), "path", None) or OTHER
        labels = (method, route, f"{status // 100}xx" if status else NO_STATUS)
        self._requests.labels(*labels).inc()
        self._seconds.labels(*labels).observe(seconds)

    def collect(self) -> Iterable[Metric]:
        if COUNTS_VARIABLE in os.environ:
            yield from MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]  # the library has no types
            return
        for family in (*self._requests.collect(), *self._seconds.collect()):
            # The library also reports when each series began, which would double the number of series.
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family
