"""The exporting half of traces, loaded only where a collector is named: OpenTelemetry's SDK, and OTLP over HTTP."""

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

# A collector that is away is told of once in so long, and not at each batch.
REPEAT_SECONDS = 300.0
CHATTY_LOGGERS = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")


class QueryHider(SpanProcessor):
    """FastAPI puts a request's query on its span. Searches and names of datasets are a team's own."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  the SDK calls it so
        if span.attributes is not None and QUERY in span.attributes:
            span.set_attribute(QUERY, HIDDEN)


class SparingFilter(logging.Filter):
    """Lets each kind of line through once in a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._told_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        # The form of the message, before its values are filled in.
        kind, now = str(record.msg), time.monotonic()
        if now - self._told_at.get(kind, float("-inf")) < self._seconds:
            return False
        self._told_at[kind] = now
        return True


def make_provider(service: str, *, host: str) -> TracerProvider:
    """Sends in batches from a thread of its own, and drops what a slow collector doesn't take.

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
    # Nothing at exit: the process closes it, within a bound.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in CHATTY_LOGGERS:
        # A second provider of the process replaces the first one's.
        logging.getLogger(name).filters = [SparingFilter(REPEAT_SECONDS)]
    provider.add_span_processor(QueryHider())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
