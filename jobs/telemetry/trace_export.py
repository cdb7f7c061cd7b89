"""Exporting traces with OpenTelemetry's SDK by OTLP over HTTP. Loaded only where a collector is configured."""

import logging
import time

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from jobs.release import get_release

QUERY = "url.query"
HIDDEN = "REDACTED"

# A collector that can't be reached is logged once in this time, not at each batch.
REPEAT_SECONDS = 300.0
CHATTY_LOGGERS = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")


class QueryHider(SpanProcessor):
    """Removes a request's query from its span, where FastAPI puts it: it may hold a team's private words and names."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the SDK calls it so
        if span.attributes is not None and QUERY in span.attributes:
            span.set_attribute(QUERY, HIDDEN)


class SparingFilter(logging.Filter):
    """A log filter that passes each kind of message at most once within a period."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # The form of the message, before its values are filled in.
        kind, now = str(record.msg), time.monotonic()
        if now - self._passed_at.get(kind, float("-inf")) < self._seconds:
            return False
        self._passed_at[kind] = now
        return True


def make_provider(service: str, *, host: str) -> TracerProvider:
    """Sends spans in batches from a thread of its own, and drops those that a slow collector does not accept in time.

    The endpoint, its headers, the sampler and the batches are read from OTEL_* variables by the SDK itself.
    """
    ours = Resource(
        {
            "service.namespace": "emotune",
            "service.name": service,
            "service.version": get_release(),
            "host.name": host,
        }
    )
    resource = Resource.create().merge(ours).merge(OTELResourceDetector().detect())
    # No exit handler: the process closes the exporter itself, within a time limit.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in CHATTY_LOGGERS:
        # A second provider in a process replaces the first one.
        logging.getLogger(name).filters = [SparingFilter(REPEAT_SECONDS)]
    provider.add_span_processor(QueryHider())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
