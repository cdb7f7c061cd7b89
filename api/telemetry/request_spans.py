"""What FastAPI's own hooks tell of requests where there are traces: a span each, and nothing of what was sent."""

from collections.abc import MutableMapping
from typing import Any

from fastapi.telemetry import TelemetryConfig

from jobs.telemetry.tracing import Tracing

# Asked every few seconds by machines, for ever.
_PROBES = ("/health/", "/metrics")


def make_telemetry(tracing: Tracing) -> TelemetryConfig:
    """For FastAPI(telemetry=...). Numbers are Prometheus' (api/telemetry/exposition.py), and logs go to standard error.

    Nothing is set up from the environment by FastAPI itself: the worker needs the same, and it would end without a
    bound. One span a request: dependencies and endpoint would be two more, of each poll too.
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
