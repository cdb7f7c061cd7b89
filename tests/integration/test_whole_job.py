"""A job from its upload to its bundle, through the public API alone, on both databases."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from emomodel.bundles.bundle import verify
from tests.support.collectors import Collector, run_collector
from tests.support.stacks import SHORT_CONFIG, Installation, Json
from tests.support.waiting import wait_for


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Processes that start after it send it traces."""
    with run_collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        # Between two batches, in milliseconds.
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        yield collector


def follow_metrics(url: str, key: str, job_id: str, found: list[Json]) -> None:
    """Read the server-sent events of a job to their end; ids are kept beside the data."""
    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
    event: Json = {}
    with httpx2.stream("GET", f"{url}/jobs/{job_id}/metrics", headers=headers, timeout=60) as response:
        for line in response.iter_lines():
            name, _, value = line.partition(": ")
            if name in {"event", "id", "data"}:
                event[name] = value
            elif not line and event:
                found.append(event)
                if event["event"] == "end":
                    return
                event = {}


def check_trace(collector: Collector, installation: Installation, job_id: str) -> None:
    """From the request that posted the job to its bundle, over three processes."""
    wait_for(lambda: bool(collector.find("job.run")))
    (posted,) = collector.find("POST /jobs")
    (run,) = collector.find("job.run")
    assert (posted.service, run.service) == ("emotune-api", "emotune-worker")
    assert posted.attributes["emotune.job.id"] == run.attributes["emotune.job.id"] == job_id
    assert (run.trace_id, run.parent_id) == (posted.trace_id, posted.span_id)
    phases = {span.name for span in collector.spans if span.parent_id == run.span_id}
    assert phases >= {"run.claim", "run.importing", "run.loading_model", "run.training", "run.saving", "run.bundle"}
    sent = b"".join(collector.bodies)
    assert installation.stack.api_key.encode() not in sent
    assert b"messages" not in sent
    logged = installation.get_slot().log_path.read_text()
    assert [posted.trace_id in line for line in logged.splitlines() if "run_ends" in line] == [True]


def test_a_job_runs_from_upload_to_bundle_with_live_metrics(
    collector: Collector, installation: Installation, tmp_path: Path
) -> None:
    job_id = installation.submit(SHORT_CONFIG | {"eval_fraction": 0.3, "row_report": True})
    streamed: list[Json] = []
    stack = installation.stack
    follower = threading.Thread(target=follow_metrics, args=[stack.url, stack.api_key, job_id, streamed])
    follower.start()
    seen_live: list[Json] = []
    for job, metrics in installation.client.follow_job(job_id):
        if job["status"] == "running":
            seen_live += metrics
    follower.join(30)

    job = installation.client.get_job(job_id)
    assert (job["status"], job["attempt"], job["step"], job["total_steps"]) == ("succeeded", 1, 6, 6), job["error"]
    stored = installation.list_metrics(job_id)
    assert [point["cursor"] for point in stored] == [f"1-{seq}" for seq in range(1, 7)]
    assert stored[: len(seen_live)] == seen_live
    assert seen_live, "no metric was seen before the job's end"
    assert [event["event"] for event in streamed] == ["metric"] * 6 + ["end"]
    assert [json.loads(event["data"]) for event in streamed[:-1]] == stored

    kinds = {artifact["kind"] for artifact in installation.client.list_artifacts(job_id)}
    assert kinds == {"bundle", "metrics", "loss_curve", "log", "row_report"}
    assert stored[-1]["eval_loss"] > 0
    with httpx2.Client(base_url=stack.url, headers={"Authorization": f"Bearer {stack.api_key}"}) as http:
        rows = http.get(f"/jobs/{job_id}/rows?limit=3").json()["items"]
        events = http.get(f"/jobs/{job_id}/events").json()["items"]
    assert [row["loss"] for row in rows] == sorted((row["loss"] for row in rows), reverse=True)
    assert "messages" in rows[0]["text"]
    assert job["estimate"]["step_count"] > 0
    assert job["result"]["step_count"] == 6
    assert "were estimated" in events[-1]["message"]
    bundle = tmp_path / "bundle.zip"
    installation.client.download_artifact(job_id, "bundle", bundle)
    manifest = verify(bundle)
    assert manifest.base_model == "tiny-gemma"
    assert manifest.metrics is not None
    assert manifest.metrics.step_count == 6
    assert installation.list_trainers() == []
    check_trace(collector, installation, job_id)
