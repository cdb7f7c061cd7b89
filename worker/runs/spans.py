"""The spans of one run: its wait, its claim and its phases, in the trace of the request that posted its job."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind

from jobs.models import Job
from jobs.telemetry.tracing import NO_TRACING, Tracing, mark_error, read_traceparent

NANOSECONDS = 1_000_000_000


@contextmanager
def trace_run(tracing: Tracing, job: Job, *, slot: str, asked_at_ns: int) -> Iterator[None]:
    """Open the run's span as the current one. The claim began at `asked_at_ns`, by time.time_ns()."""
    tracer, parent = tracing.tracer, read_traceparent(job.traceparent)
    facts: dict[str, str | int] = {
        "emotune.job.id": job.id,
        "emotune.job.attempt": job.attempt,
        "emotune.team.id": job.team_id,
    }
    run = tracer.start_span(
        "job.run",
        context=parent,
        kind=SpanKind.CONSUMER,
        attributes=facts | {"emotune.slot": slot, "emotune.base_model": job.base_model},
        start_time=asked_at_ns,
    )
    if job.attempt == 1:
        # For later attempts, the gap after the previous run shows the wait. A job without a trace has no other parent.
        above = parent if job.traceparent is not None else trace.set_span_in_context(run, parent)
        began_ns = min(int(job.created_at.timestamp() * NANOSECONDS), asked_at_ns)
        wait = tracer.start_span("job.wait", context=above, attributes=facts, start_time=began_ns)
        wait.end(asked_at_ns)
    with trace.use_span(run, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        tracer.start_span("run.claim", start_time=asked_at_ns).end()
        yield


def note_outcome(outcome: str, *, code: str | None) -> None:
    """Record the outcome of the current run; of a failure only its code."""
    run = trace.get_current_span()
    run.set_attribute("emotune.outcome", outcome)
    if code is not None:
        mark_error(run, code)


def note_break(error: Exception) -> None:
    """Record that the worker itself failed."""
    mark_error(trace.get_current_span(), type(error).__name__)


class PhaseSpans:
    """One span per phase, each until the next phase begins, under the span that was current at the start."""

    def __init__(self, tracing: Tracing = NO_TRACING) -> None:
        self._tracer = tracing.tracer
        self._context = contexts.get_current()
        self._span: Span = trace.INVALID_SPAN

    def enter(self, name: str) -> None:
        self.leave()
        self._span = self._tracer.start_span(f"run.{name}", context=self._context)

    def leave(self) -> None:
        self._span.end()
        self._span = trace.INVALID_SPAN
