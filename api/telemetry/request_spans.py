"""How FastAPI traces requests, where tracing is on: one span for each, without the request's content."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from jobs.telemetry.tracing import Tracing

# Polled by machines every few seconds.
_PROBES = ("/health/", "/metrics")


def make_telemetry(tracing: Tracing) -> TelemetryConfig:
    """Make the value of FastAPI(telemetry=...). Metrics go to Prometheus instead, and logs to standard error.

    FastAPI itself sets up nothing from the environment: the worker needs the same setup, and FastAPI's would wait
    without a limit at shutdown. There is one span per request: dependencies and endpoint would add two, for polls too.
    """
    return TelemetryConfig(
        auto_configure=False,
        tracing=tracing.is_on,
        tracer_provider=tracing.provider if tracing.is_on else None,
        metrics=False,
        logs=False,
        operation_spans=False,
        exclude=is_probe,
    )


def is_probe(scope: MutableMapping[str, Any]) -> bool:
    return str(scope["path"]).startswith(_PROBES)
