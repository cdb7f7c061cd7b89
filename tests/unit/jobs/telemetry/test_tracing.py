"""Traces: none without a collector, complete ones with one, and no caller ever waits for it."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry import trace

from jobs.telemetry.trace_export import SparingFilter
from jobs.telemetry.tracing import (
    NO_TRACING,
    TracesUnreadable,
    add_trace_ids,
    get_traceparent,
    is_wanted,
    open_tracing,
    read_traceparent,
)
from tests.support.collectors import Collector, make_dead_url, run_collector, run_deaf_collector

SOME_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

# This runs in a separate process, since this one has loaded the SDK. Where the SDK is installed, redis-py loads a part
# of it, metrics.
OPEN_WITHOUT = """
import sys, threading
from jobs.telemetry.tracing import open_tracing
tracing = open_tracing("emotune-api", host="box")
with tracing.span("work") as span:
    assert not span.is_recording()
tracing.close()
import api.main, worker.app
app = api.main.create_app()
theirs = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf")
found = sorted(name for name in sys.modules if name.startswith(theirs))
assert not found, found
assert not app._native_telemetry.enabled()
assert [thread.name for thread in threading.enumerate() if "Otel" in thread.name] == []
"""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with run_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def test_without_a_collector_nothing_of_the_sdk_is_loaded() -> None:
    environment = {"OTEL_SERVICE_NAME": "x", "OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    done = subprocess.run(
        [sys.executable, "-c", OPEN_WITHOUT], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_collector_without_the_sdk_is_refused_and_the_extra_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", make_dead_url())
    monkeypatch.delitem(sys.modules, "jobs.telemetry.trace_export")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(TracesUnreadable, match=r"pip install emotune\[otel\]"):
        open_tracing("emotune-api", host="box")


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        # This endpoint is for metrics only.
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://127.0.0.1:4318"}, False),
    ],
)
def test_an_endpoint_is_what_turns_traces_on(variables: dict[str, str], wanted: bool) -> None:
    assert is_wanted(variables) is wanted


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not an address"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://[::1"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not an address"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://box:99999"}, "OTEL_EXPORTER_OTLP_ENDPOINT is not an address"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://box:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://box:4318", "OTEL_TRACES_EXPORTER": "zipkin"},
            "OTEL_TRACES_EXPORTER is 'zipkin'",
        ),
    ],
)
def test_what_can_not_be_done_is_said(variables: dict[str, str], named: str) -> None:
    with pytest.raises(TracesUnreadable, match=named):
        is_wanted(variables)


def test_a_span_comes_to_the_collector_at_the_end_of_the_process(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret")
    tracing = open_tracing("emotune-api", host="box")
    with pytest.raises(ValueError, match="a chat"), tracing.span("work"):
        raise ValueError("a chat of the team")
    tracing.close()
    (span,) = collector.spans
    assert (span.name, span.service, span.parent_id, span.is_error) == ("work", "emotune-api", "", True)
    assert span.attributes == {"error.type": "ValueError"}
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["x-key"] == "s3cret"
    assert b"a chat" not in collector.bodies[0]


def test_the_standard_names_of_a_service_go_first(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tuning")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    tracing = open_tracing("emotune-api", host="box")
    with tracing.span("work"):
        pass
    tracing.close()
    assert collector.spans[0].service == "tuning"
    assert b"lab" in collector.bodies[0]


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_collector_that_is_away_or_hangs_holds_nobody_up(is_deaf: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setattr("jobs.telemetry.tracing.CLOSE_SECONDS", 0.5)
    with run_deaf_collector() as deaf_url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", deaf_url if is_deaf else make_dead_url())
        tracing = open_tracing("emotune-api", host="box")
        began = time.perf_counter()
        # These are more than fit into the queue, so that some are dropped.
        for _ in range(3000):
            with tracing.span("work"):
                pass
        spans_took = time.perf_counter() - began
        began = time.perf_counter()
        tracing.close()
        close_took = time.perf_counter() - began
    # The exporter itself would wait ten seconds for each batch.
    assert spans_took < 5
    assert close_took < 3


def test_a_trace_goes_over_a_row_and_on() -> None:
    assert get_traceparent() is None
    span = trace.NonRecordingSpan(trace.get_current_span(read_traceparent(SOME_TRACE)).get_span_context())
    with trace.use_span(span):
        assert get_traceparent() == SOME_TRACE
        with NO_TRACING.span("work"):
            # Without a collector the trace is passed on as it came.
            assert get_traceparent() == SOME_TRACE
    assert get_traceparent() is None


@pytest.mark.parametrize("text", [None, "", "nonsense", "00-0-0-01"])
def test_what_is_no_trace_begins_one(text: str | None) -> None:
    assert not trace.get_current_span(read_traceparent(text)).get_span_context().is_valid


def test_a_line_of_the_log_has_the_ids_of_its_span() -> None:
    log = structlog.wrap_logger(structlog.PrintLogger(), processors=[add_trace_ids, lambda _, __, entry: str(entry)])
    assert add_trace_ids(log, "info", {"event": "x"}) == {"event": "x"}
    with trace.use_span(trace.get_current_span(read_traceparent(SOME_TRACE))):
        assert add_trace_ids(log, "info", {"event": "x"}) == {
            "event": "x",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "b7ad6b7169203331",
        }


def test_a_collector_that_stays_away_is_reported_once_in_a_while() -> None:
    def make(message: str, *values: object) -> logging.LogRecord:
        return logging.LogRecord("x", logging.WARNING, "x.py", 1, message, values, None)

    sparing = SparingFilter(1000)
    assert [sparing.filter(make("retry in %s s", 1)), sparing.filter(make("gave up"))] == [True, True]
    assert [sparing.filter(make("retry in %s s", 2)), sparing.filter(make("gave up"))] == [False, False]
    eager = SparingFilter(0)
    assert [eager.filter(make("gave up")) for _ in range(2)] == [True, True]
