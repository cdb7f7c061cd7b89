"""POST /jobs:estimate, and what a job keeps of its estimate."""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import Dataset, Job, Run
from jobs.runs import claims, slots
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import GIB, Settings
from tests.support.base_configs import GEMMA_3_270M

REPORT = {"example_count": 330, "turn_count": 660, "target_count": 330, "character_count": 38_970}


@pytest.fixture
def request_body(dataset: Dataset, database: Database, settings: Settings) -> dict[str, Any]:
    """A job on a dataset like the sample chats and a base model like Gemma 3 270M, with one idle CPU slot."""
    (Path(settings.base_models["tiny-gemma"]) / "config.json").write_text(json.dumps(GEMMA_3_270M))
    with database.write() as session:
        row = session.merge(dataset)
        row.report, row.example_count = REPORT, 330
        slots.note_slot(session, name="slot-0", device="cpu", host="here", memory_bytes=24 * GIB)
    return {"dataset_id": dataset.id, "base_model": "tiny-gemma"}


def test_an_estimate_says_what_a_job_would_take_and_stores_nothing(
    client: TestClient, request_body: dict[str, Any]
) -> None:
    found = client.post("/jobs:estimate", json=request_body).json()
    # Each of the 4 epochs has 28 batches of 12 examples of 40 tokens.
    assert (found["example_count"], found["step_count"], found["token_count"]) == (330, 112, 330 * 4 * 40)
    assert (found["device"], found["speed_source"], found["queue_position"]) == ("cpu", "arithmetic", 1)
    assert (found["fits"], found["advice"], found["changes"]) == (True, None, [])
    assert found["peak_memory_bytes"] == sum(found["memory"].values())
    assert 60 < found["train_seconds"] < 1000
    assert found["total_seconds"] > found["train_seconds"]
    # The slot is idle.
    assert abs((datetime.fromisoformat(found["starts_at"]) - utc_now()).total_seconds()) < 60
    assert client.get("/jobs").json()["items"] == []


def test_the_config_counts(client: TestClient, request_body: dict[str, Any]) -> None:
    def estimate(**config: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client.post("/jobs:estimate", json=request_body | {"config": config}).json()
        return answer

    assert estimate(max_steps=10)["step_count"] == 10
    assert estimate(epochs=1)["token_count"] == 330 * 40
    assert estimate(sample_limit=100)["example_count"] == 100
    assert estimate(gradient_accumulation=4)["step_count"] == 28
    large = estimate(batch_size=4000, batching="fixed", max_length=4096)
    assert large["fits"] is False
    assert "Set " in large["advice"]
    assert large["changes"]
    for changes in large["changes"]:
        assert estimate(batching="fixed", **({"batch_size": 4000, "max_length": 4096} | changes))["fits"] is True


def test_what_can_not_be_posted_can_not_be_estimated(
    client: TestClient, other_client: TestClient, request_body: dict[str, Any]
) -> None:
    wrong = client.post("/jobs:estimate", json=request_body | {"config": {"epochs": -1}})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "config.epochs")
    assert other_client.post("/jobs:estimate", json=request_body).status_code == 404
    assert client.post("/jobs:estimate", json=request_body | {"base_model": "gpt"}).status_code == 422
    without_cuda = {"config": {"load_in_4bit": True}}
    two_ways = {"validation_dataset_id": request_body["dataset_id"], "config": {"eval_fraction": 0.1}}
    for changes in (without_cuda, two_ways):
        answers = [client.post(path, json=request_body | changes) for path in ("/jobs", "/jobs:estimate")]
        assert answers[0].json() == answers[1].json()
        assert answers[0].status_code == answers[1].status_code >= 400


def run_job(database: Database, job_id: str, *, train_seconds: float) -> None:
    """Run a queued job on slot-0 to its end, at 1,000 tokens a second."""
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        result = {"train_seconds": train_seconds, "token_count": round(1000 * train_seconds), "step_count": 5}
        run_ends.succeed(session, job_id=job_id, attempt=1, end=RunEnd(0), artifacts=[], message="Done.", result=result)
        run = session.get_one(Run, (job_id, 1))
        run.ended_at = run.started_at.fromtimestamp(
            run.started_at.timestamp() + train_seconds + 20, run.started_at.tzinfo
        )


def test_jobs_that_ran_here_determine_the_speed(
    client: TestClient, database: Database, request_body: dict[str, Any]
) -> None:
    job = client.post("/jobs", json=request_body).json()
    assert job["estimate"]["speed_source"] == "arithmetic"
    run_job(database, job["id"], train_seconds=50)
    assert client.get(f"/jobs/{job['id']}").json()["result"]["token_count"] == 50_000
    like = client.post("/jobs:estimate", json=request_body).json()
    assert like["speed_source"] == "like_jobs"
    assert like["train_seconds"] == pytest.approx(52.8)
    assert like["total_seconds"] == pytest.approx(72.8, abs=0.5)
    other = client.post("/jobs:estimate", json=request_body | {"config": {"batch_size": 4}}).json()
    assert other["speed_source"] == "same_base_model"


def test_waiting_jobs_delay_the_start(
    client: TestClient, database: Database, request_body: dict[str, Any], make_job: Callable[..., Job]
) -> None:
    first = client.post("/jobs", json=request_body).json()
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        session.get_one(Job, first["id"]).eta_seconds = 300.0
    client.post("/jobs", json=request_body)
    found = client.post("/jobs:estimate", json=request_body).json()
    assert found["queue_position"] == 2
    wait = (datetime.fromisoformat(found["starts_at"]) - utc_now()).total_seconds()
    assert wait == pytest.approx(300 + found["total_seconds"], abs=10)
