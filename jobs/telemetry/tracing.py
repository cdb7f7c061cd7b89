"""Traces: the spans of this process, sent to a collector where OpenTelemetry's standard variables name one.

Without a collector nothing of the SDK is loaded, and every span is one that does nothing. docs/decisions/0017 says why
there is no setting of our own for this.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, NoOpTracerProvider, Span, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from jobs.errors import EmotuneError
from jobs.release import get_release

# Read by the SDK's exporter too. The first is the complete address; to the second, `/v1/traces` is appended.
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
# The only protocol that is installed; the other one would need gRPC.
PROTOCOL = "http/protobuf"
PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

# How long a process that ends waits for unsent spans. A collector that hangs does not delay it longer.
CLOSE_SECONDS = 3.0

_PROPAGATOR = TraceContextTextMapPropagator()
_TRACEPARENT = "traceparent"


class TracesUnreadable(EmotuneError):
    """An OTEL_* variable asks for something that is not supported."""

    code = "traces_unreadable"


def _close_nothing() -> None:
    """Records nothing: the spans of a process without traces."""


@dataclass(frozen=True)
class Tracing:
    """Starts spans and sends them to the collector, if there is one."""

    provider: TracerProvider
    tracer: Tracer
    is_on: bool
    shut_down: Callable[[], None]

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """Open a child of the current span. An exception is recorded by its class alone: messages may be private."""
        with self.tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield span
            except BaseException as error:
                mark_error(span, type(error).__name__)
                raise

    def close(self) -> None:
        """Send the remaining spans, within a time limit; the sending thread ends with the process."""
        thread = threading.Thread(target=self.shut_down, name="traces", daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)


NO_TRACING = Tracing(NoOpTracerProvider(), NoOpTracer(), is_on=False, shut_down=_close_nothing)


def open_tracing(service: str, *, host: str, environment: Mapping[str, str] = os.environ) -> Tracing:
    """The tracing that the variables ask for. Nothing is sent before the first span. Raises TracesUnreadable."""
    if not is_wanted(environment):
        return NO_TRACING
    try:
        from jobs.telemetry.trace_export import make_provider
    except ModuleNotFoundError as error:
        raise TracesUnreadable(
            f"OTEL_* variables name a collector, but {error.name} is not installed: pip install emotune[otel]."
        ) from error
    provider = make_provider(service, host=host)
    return Tracing(provider, provider.get_tracer("emotune", get_release()), is_on=True, shut_down=provider.shutdown)


def is_wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the variables name a collector and do not disable it. Raises TracesUnreadable."""
    name, endpoint = next(
        ((name, environment[name]) for name in (TRACES_ENDPOINT, ENDPOINT) if environment.get(name)), ("", "")
    )
    is_off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if not endpoint or is_off or exporter == "none":
        return False
    if exporter != "otlp":
        raise TracesUnreadable(f"OTEL_TRACES_EXPORTER is {exporter!r}; emotune supports `otlp` and `none`.")
    protocol = next((value for each in PROTOCOL_VARIABLES if (value := environment.get(each))), PROTOCOL)
    if protocol != PROTOCOL:
        raise TracesUnreadable(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; emotune supports {PROTOCOL}, which most collectors accept "
            "on port 4318."
        )
    if not _is_url(endpoint):
        raise TracesUnreadable(f"{name} is not an address; give one such as http://127.0.0.1:4318.")
    return True


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # urlsplit checks the port only when it is read.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def get_traceparent() -> str | None:
    """The current span in the form of the W3C `traceparent` header; None without a trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get(_TRACEPARENT)


def read_traceparent(traceparent: str | None) -> Context:
    """A context whose spans continue the given trace; with None they start a new one."""
    return _PROPAGATOR.extract({} if traceparent is None else {_TRACEPARENT: traceparent}, context=Context())


def note_attribute(name: str, value: str | int) -> None:
    """Set an attribute of the current span, if there is one."""
    trace.get_current_span().set_attribute(name, value)


def mark_error(span: Span, kind: str) -> None:
    """Mark the current span as failed, with an error code or class, never a message."""
    span.set_attribute("error.type", kind)
    span.set_status(trace.StatusCode.ERROR)


def add_trace_ids(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that adds the ids of the current trace and span."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        entry["trace_id"] = trace.format_trace_id(context.trace_id)
        entry["span_id"] = trace.format_span_id(context.span_id)
    return entry
