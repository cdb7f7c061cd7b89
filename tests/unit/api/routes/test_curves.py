"""GET /jobs/{job_id}/curves: metrics by columns."""

import time
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from api.schemas.metrics import CurveColumns, MetricRead
from emomodel.protocol.progress import Metric as MetricLine
from jobs.database.engine import Database
from jobs.models import Job, Metric
from jobs.runs.metrics import Cursor, MetricStream, get_metric_values
from tests.support.redis_doubles import MemoryRedis

POINT_COUNT = 20_000
# It takes a third of a second alone; other tests may run beside this one.
PATIENCE_SECONDS = 3.0


@pytest.fixture
def add_metrics(database: Database, make_metric: Callable[[int], MetricLine]) -> Callable[..., None]:
    def add(job_id: str, attempt: int, count: int) -> None:
        with database.write() as session:
            rows = [
                {"job_id": job_id, "attempt": attempt, "seq": seq, "values": get_metric_values(make_metric(seq))}
                for seq in range(1, count + 1)
            ]
            session.execute(insert(Metric), rows)

    return add


def test_the_columns_are_the_fields_of_a_metric() -> None:
    assert list(CurveColumns.model_fields) == [name for name in MetricRead.model_fields if name != "cursor"]
    for name, field in CurveColumns.model_fields.items():
        assert field.annotation == list[MetricRead.model_fields[name].annotation]  # type: ignore[misc]  # made here


def test_columns_hold_what_the_metrics_do(
    client: TestClient, make_job: Callable[..., Job], add_metrics: Callable[..., None]
) -> None:
    job_id = make_job().id
    add_metrics(job_id, 1, 3)
    add_metrics(job_id, 2, 2)
    answer = client.get(f"/jobs/{job_id}/curves").json()
    metrics = client.get(f"/jobs/{job_id}/metrics").json()
    assert answer["next_cursor"] == metrics["next_cursor"] == "2-2"
    assert answer["columns"] == {
        name: [metric[name] for metric in metrics["items"]] for name in CurveColumns.model_fields
    }
    assert answer["columns"]["attempt"] == [1, 1, 1, 2, 2]


def test_curves_continue_after_a_cursor(
    client: TestClient, make_job: Callable[..., Job], add_metrics: Callable[..., None]
) -> None:
    job_id = make_job().id
    assert client.get(f"/jobs/{job_id}/curves").json()["next_cursor"] is None
    add_metrics(job_id, 1, 5)
    steps: list[int] = []
    after: str | None = None
    for _ in range(4):
        query = {"limit": "2"} | ({"after": after} if after else {})
        page = client.get(f"/jobs/{job_id}/curves", params=query).json()
        steps += page["columns"]["step"]
        after = page["next_cursor"]
    assert (steps, after) == ([1, 2, 3, 4, 5], "1-5")


def test_points_that_only_redis_has_are_among_them(
    client: TestClient,
    make_job: Callable[..., Job],
    add_metrics: Callable[..., None],
    make_metric: Callable[[int], MetricLine],
) -> None:
    job_id = make_job().id
    add_metrics(job_id, 1, 2)
    stream = MetricStream(MemoryRedis().as_client(), length=100, expire_seconds=60)
    for seq in (1, 2, 3):
        stream.publish(job_id, Cursor(1, seq), make_metric(seq))
    services = client.app.state.services  # type: ignore[attr-defined]  # the app that the fixture started
    object.__setattr__(services, "metric_stream", stream)
    answer = client.get(f"/jobs/{job_id}/curves").json()
    assert (answer["columns"]["step"], answer["next_cursor"]) == ([1, 2, 3], "1-3")


def test_a_number_that_was_not_finite_is_null(
    client: TestClient, database: Database, make_job: Callable[..., Job], make_metric: Callable[[int], MetricLine]
) -> None:
    job_id = make_job().id
    values = get_metric_values(make_metric(1).model_copy(update={"loss": float("nan")}))
    with database.write() as session:
        session.add(Metric(job_id=job_id, attempt=1, seq=1, values=values))
    assert client.get(f"/jobs/{job_id}/curves").json()["columns"]["loss"] == [None]


def test_a_long_curve_comes_at_once(
    client: TestClient, make_job: Callable[..., Job], add_metrics: Callable[..., None]
) -> None:
    job_id = make_job().id
    add_metrics(job_id, 1, POINT_COUNT)
    began = time.perf_counter()
    answer = client.get(f"/jobs/{job_id}/curves")
    assert time.perf_counter() - began < PATIENCE_SECONDS
    assert len(answer.json()["columns"]["loss"]) == POINT_COUNT


def test_other_teams_curves_are_not_there_and_odd_queries_are_refused(
    client: TestClient, other_client: TestClient, make_job: Callable[..., Job]
) -> None:
    job_id = make_job().id
    assert other_client.get(f"/jobs/{job_id}/curves").status_code == 404
    for query in ("after=x", f"limit={POINT_COUNT + 1}", "limit=0", "before=1-1"):
        assert client.get(f"/jobs/{job_id}/curves?{query}").status_code == 422
