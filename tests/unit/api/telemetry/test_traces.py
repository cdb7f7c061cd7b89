"""The span of a request, made by FastAPI's own hooks: what it contains and never contains, and where it continues."""

import time
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from jobs.database.engine import Database
from jobs.models import Job
from jobs.settings import Settings
from jobs.telemetry.tracing import add_trace_ids
from tests.support.collectors import Collector, make_dead_url, run_collector, run_deaf_collector
from tests.unit.conftest import TestTeam

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Logs = list[MutableMapping[str, Any]]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with run_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def post_job(client: TestClient, dataset_id: str, **headers: str) -> str:
    request = {"dataset_id": dataset_id, "base_model": "tiny-gemma", "name": "a private name"}
    response = client.post("/jobs", json=request, headers=headers)
    assert response.status_code == 201, response.text
    job_id: str = response.json()["id"]
    return job_id


def test_a_request_is_a_span_in_the_callers_trace_and_the_row_hands_it_on(
    collector: Collector, settings: Settings, database: Database, team: TestTeam, dataset_id: str
) -> None:
    caller = f"00-{TRACE_ID}-{SPAN_ID}-01"
    with TestClient(create_app(settings), headers=team.headers) as client:
        job_id = post_job(client, dataset_id, traceparent=caller, **{"X-Request-ID": "req-1"})
        client.get("/health/live")
        client.get("/metrics")
    (span,) = collector.spans
    assert (span.name, span.service, span.is_error) == ("POST /jobs", "emotune-api", False)
    assert (span.trace_id, span.parent_id) == (TRACE_ID, SPAN_ID)
    told = {"emotune.job.id": job_id, "emotune.request.id": "req-1", "http.response.status_code": 201}
    assert told.items() <= span.attributes.items()
    with database.read() as session:
        assert session.get_one(Job, job_id).traceparent == f"00-{TRACE_ID}-{span.span_id}-01"


def test_a_span_has_no_key_no_query_and_nothing_of_what_was_sent(
    collector: Collector, settings: Settings, team: TestTeam, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(settings), headers=team.headers, raise_server_exceptions=False) as client:
        post_job(client, dataset_id)
        client.get("/jobs:overview?search=private")
        client.post("/jobs", json={"dataset_id": "private"})
        client.get("/jobs", headers={"Authorization": "Bearer private"})
        monkeypatch.setattr("jobs.records.get_job", _break_down)
        assert client.get(f"/jobs/job_{0:026}").status_code == 500
    assert len(collector.spans) == 5
    told = b"".join(collector.bodies)
    assert b"private" not in told
    assert team.secret.encode() not in told
    assert b"uthorization" not in told
    assert [span.attributes["url.query"] for span in collector.spans if "url.query" in span.attributes] == ["REDACTED"]
    (broken,) = (span for span in collector.spans if span.is_error)
    assert (broken.name, broken.attributes["http.response.status_code"]) == ("GET /jobs/{job_id}", 500)


def _break_down(*_: object, **__: object) -> None:
    raise RuntimeError("a private reason")


def test_without_a_collector_a_callers_trace_leaves_no_mark(
    client: TestClient, database: Database, dataset_id: str, logs: Logs
) -> None:
    job_id = post_job(client, dataset_id, traceparent=f"00-{TRACE_ID}-{SPAN_ID}-01")
    with database.read() as session:
        assert session.get_one(Job, job_id).traceparent is None
    assert [entry for entry in logs if "trace_id" in add_trace_ids(None, "info", entry)] == []


@pytest.mark.parametrize("is_deaf", [False, True])
def test_a_collector_that_is_away_or_hangs_costs_a_request_nothing(
    is_deaf: bool, settings: Settings, team: TestTeam, dataset_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    monkeypatch.setattr("jobs.telemetry.tracing.CLOSE_SECONDS", 0.5)
    with run_deaf_collector() as deaf_url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", deaf_url if is_deaf else make_dead_url())
        with TestClient(create_app(settings), headers=team.headers) as client:
            began = time.perf_counter()
            for _ in range(20):
                assert client.get("/jobs").status_code == 200
            post_job(client, dataset_id)
            took = time.perf_counter() - began
    # The exporter itself would wait ten seconds for each batch.
    assert took < 8
