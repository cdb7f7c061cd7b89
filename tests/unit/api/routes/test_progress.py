"""Metrics, events and logs of a job, as pages, and as a stream of a job that has ended."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.answers.downloads import PIECE_BYTES
from api.schemas.metrics import MetricRead
from emomodel.protocol.progress import Metric
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.models import Job
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.runs.metrics import SampledMetric
from jobs.settings import Settings

STREAM = {"Accept": "text/event-stream"}


def read_frames(text: str) -> list[dict[str, str]]:
    """Return the events of a stream, without the comments."""
    frames = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            frames.append(fields)
    return frames


@pytest.fixture
def ended_job(database: Database, make_job: Callable[..., Job], make_metric: Callable[[int], Metric]) -> str:
    """A cancelled job with five metrics in its first attempt and two in its second."""
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        metrics = [(seq, make_metric(seq)) for seq in range(1, 6)]
        claims.record_metrics(session, job_id=job_id, attempt=1, metrics=metrics)
        run_ends.interrupt(session, job_id=job_id, attempt=1, message="The worker was restarted.", end=RunEnd(None))
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        claims.record_metrics(session, job_id=job_id, attempt=2, metrics=metrics[:2])
        run_ends.confirm_cancel(session, job_id=job_id, attempt=2, end=RunEnd(3))
    return job_id


ALL_CURSORS = ["1-1", "1-2", "1-3", "1-4", "1-5", "2-1", "2-2"]


def test_a_metric_has_the_fields_of_the_training_process_and_of_the_gpu() -> None:
    assert set(MetricRead.model_fields) - {"cursor", "attempt"} == set(SampledMetric.model_fields) - {"type"}


def test_metrics_are_read_after_a_cursor(client: TestClient, ended_job: str) -> None:
    seen: list[str] = []
    after: str | None = None
    for _ in range(4):
        page = client.get(
            f"/jobs/{ended_job}/metrics", params={"limit": 3} | ({"after": after} if after else {})
        ).json()
        seen += [metric["cursor"] for metric in page["items"]]
        after = page["next_cursor"]
    assert seen == ALL_CURSORS
    assert after == "2-2"
    assert client.get(f"/jobs/{ended_job}/metrics").json()["items"][0]["loss"] == 1.0


def test_without_metrics_the_cursor_stays(client: TestClient, make_job: Callable[..., Job]) -> None:
    job_id = make_job().id
    assert client.get(f"/jobs/{job_id}/metrics").json() == {"items": [], "next_cursor": None}
    assert client.get(f"/jobs/{job_id}/metrics?after=3-4").json() == {"items": [], "next_cursor": "3-4"}


@pytest.mark.parametrize("feed", ["metrics", "events"])
@pytest.mark.parametrize("after", ["x", "-1", "1-", "9" * 30, "1-1-1"])
def test_a_cursor_that_is_none_is_refused(client: TestClient, ended_job: str, feed: str, after: str) -> None:
    for response in (
        client.get(f"/jobs/{ended_job}/{feed}", params={"after": after}),
        client.get(f"/jobs/{ended_job}/{feed}", headers=STREAM | {"Last-Event-ID": after}),
    ):
        assert response.status_code == 422
        assert response.json()["error"]["field"] in ("after", "Last-Event-ID")


def test_the_stream_of_an_ended_job_has_all_metrics_and_ends(client: TestClient, ended_job: str) -> None:
    response = client.get(f"/jobs/{ended_job}/metrics", headers=STREAM)
    assert response.headers["Content-Type"].startswith("text/event-stream")
    *metrics, end = read_frames(response.text)
    assert [frame["id"] for frame in metrics] == ALL_CURSORS
    assert {frame["event"] for frame in metrics} == {"metric"}
    assert [json.loads(frame["data"]) for frame in metrics] == client.get(f"/jobs/{ended_job}/metrics").json()["items"]
    assert end["event"] == "end"
    assert json.loads(end["data"]) == {"status": "cancelled"}


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?after=1-4", {}), ("", {"Last-Event-ID": "1-4"}), ("?after=1-1", {"Last-Event-ID": "1-4"})],
)
def test_a_stream_continues_after_a_cursor(
    client: TestClient, ended_job: str, query: str, headers: dict[str, str]
) -> None:
    response = client.get(f"/jobs/{ended_job}/metrics{query}", headers=STREAM | headers)
    assert [frame["id"] for frame in read_frames(response.text)[:-1]] == ["1-5", "2-1", "2-2"]


@pytest.mark.parametrize("accept", ["text/event-stream", "text/html, TEXT/EVENT-STREAM;q=0.9"])
def test_the_accept_header_asks_for_the_stream(client: TestClient, ended_job: str, accept: str) -> None:
    response = client.get(f"/jobs/{ended_job}/events", headers={"Accept": accept})
    assert response.headers["Content-Type"].startswith("text/event-stream")


def test_events_record_what_happened_to_the_job(client: TestClient, ended_job: str) -> None:
    page = client.get(f"/jobs/{ended_job}/events").json()
    assert [event["kind"] for event in page["items"]] == ["queued", "running", "requeued", "running", "cancelled"]
    assert page["next_cursor"] == page["items"][-1]["cursor"]
    rest = client.get(f"/jobs/{ended_job}/events", params={"after": page["items"][2]["cursor"]}).json()
    assert rest["items"] == page["items"][3:]
    frames = read_frames(client.get(f"/jobs/{ended_job}/events", headers=STREAM).text)
    assert [json.loads(frame["data"]) for frame in frames[:-1]] == page["items"]
    resumed = client.get(f"/jobs/{ended_job}/events", headers=STREAM | {"Last-Event-ID": frames[2]["id"]}).text
    assert read_frames(resumed) == frames[3:]


def write_log(settings: Settings, job_id: str, attempt: int, text: str) -> Path:
    path = Storage(settings.data_dir).get_run_folder(job_id, attempt) / "log.txt"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_logs_are_those_of_the_last_attempt_unless_asked(
    client: TestClient, settings: Settings, ended_job: str
) -> None:
    write_log(settings, ended_job, 1, "first\n")
    write_log(settings, ended_job, 2, "a\nb\nc\n")
    response = client.get(f"/jobs/{ended_job}/logs")
    assert (response.text, response.headers["Content-Type"]) == ("a\nb\nc\n", "text/plain; charset=utf-8")
    assert client.get(f"/jobs/{ended_job}/logs?attempt=1").text == "first\n"
    assert client.get(f"/jobs/{ended_job}/logs?tail=2").text == "b\nc\n"
    missing = client.get(f"/jobs/{ended_job}/logs?attempt=3")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "run_not_found")


def test_a_job_that_never_ran_has_an_empty_log(client: TestClient, make_job: Callable[..., Job]) -> None:
    response = client.get(f"/jobs/{make_job().id}/logs")
    assert (response.status_code, response.text) == (200, "")


def test_a_log_longer_than_a_piece_comes_whole(client: TestClient, settings: Settings, ended_job: str) -> None:
    text = "".join(f"line {number}\n" for number in range(PIECE_BYTES // 4))
    write_log(settings, ended_job, 2, text)
    assert client.get(f"/jobs/{ended_job}/logs").text == text
    assert client.get(f"/jobs/{ended_job}/logs?tail={PIECE_BYTES // 5}").text.count("\n") == PIECE_BYTES // 5
