"""The spans of a run: one trace from the request that posted the job to the bundle."""

from collections.abc import Iterator, MutableMapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import structlog
from sqlalchemy import update

from jobs.models import Job
from jobs.telemetry.tracing import add_trace_ids, open_tracing
from tests.support.collectors import Collector, make_dead_url, run_collector
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.runs.running import get_job
from worker.resources import Resources
from worker.runs.turn import run_next

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with run_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def run_traced(resources: Resources, scenario: str) -> list[MutableMapping[str, Any]]:
    """Run a job with tracing, and return what was logged."""
    traced = replace(resources, tracing=open_tracing("emotune-worker", host="box"))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars, add_trace_ids]) as entries:
        run_next(traced, fake_argv(scenario))
    traced.tracing.close()
    return entries


def test_a_run_goes_on_with_the_trace_of_the_request(
    collector: Collector, resources: Resources, make_job: MakeJob
) -> None:
    job_id = make_job(name="a private name").id
    with resources.database.write() as session:
        session.execute(update(Job).values(traceparent=f"00-{TRACE_ID}-{SPAN_ID}-01"))
    entries = run_traced(resources, "succeed")

    assert {span.trace_id for span in collector.spans} == {TRACE_ID}
    (run,), (wait,) = collector.find("job.run"), collector.find("job.wait")
    assert {run.parent_id, wait.parent_id} == {SPAN_ID}
    assert run.attributes == {
        "emotune.job.id": job_id,
        "emotune.job.attempt": 1,
        "emotune.team.id": get_job(resources.database, job_id).team_id,
        "emotune.slot": "slot-0",
        "emotune.base_model": "tiny-gemma",
        "emotune.outcome": "succeeded",
    }
    assert wait.began_ns < wait.ended_ns == run.began_ns
    children = [span for span in collector.spans if span.parent_id == run.span_id]
    assert {span.name for span in children} >= {"run.claim", "run.training", "run.bundle"}
    assert len(children) == len(collector.spans) - 2
    assert all(run.began_ns <= span.began_ns <= span.ended_ns <= run.ended_ns for span in children)
    by_begin = sorted(children, key=lambda span: span.began_ns)
    # The spans follow one another.
    assert all(span.ended_ns <= after.began_ns for span, after in pairwise(by_begin))
    assert not any(span.is_error for span in collector.spans)
    assert b"private" not in b"".join(collector.bodies)
    starts = next(entry for entry in entries if entry["event"] == "run_starts")
    assert (starts["job_id"], starts["trace_id"], starts["span_id"]) == (job_id, TRACE_ID, run.span_id)


def test_a_run_that_fails_is_marked_by_its_code_alone(
    collector: Collector, resources: Resources, make_job: MakeJob
) -> None:
    job_id = make_job().id
    run_traced(resources, "fail")
    job = get_job(resources.database, job_id)
    (run,) = collector.find("job.run")
    assert (run.is_error, run.attributes["emotune.outcome"]) == (True, "failed")
    assert run.attributes["error.type"] == job.error_code
    assert job.error_message
    assert job.error_message.encode() not in b"".join(collector.bodies)
    # Nobody traced the request, so the run begins a trace, which includes the time that the job waited.
    assert run.parent_id == ""
    assert [span.parent_id for span in collector.find("job.wait")] == [run.span_id]


def test_a_collector_that_is_away_fails_no_run(
    resources: Resources, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", make_dead_url())
    monkeypatch.setattr("jobs.telemetry.tracing.CLOSE_SECONDS", 0.1)
    job_id = make_job().id
    entries = run_traced(resources, "succeed")
    assert get_job(resources.database, job_id).status == "succeeded"
    assert next(entry for entry in entries if entry["event"] == "run_ends")["outcome"] == "succeeded"
