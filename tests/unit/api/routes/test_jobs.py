"""Jobs over HTTP: post, list, get."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from emomodel.config import PRESETS, Preset, TrainConfig, make_config
from emomodel.protocol.progress import Metric
from jobs.data import datasets
from jobs.database.engine import Database
from jobs.doorbell import Doorbell
from jobs.models import Dataset, Job
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import Settings


class ListeningDoorbell(Doorbell):
    """A doorbell that records each ring, and which jobs another connection saw at that moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.heard: list[tuple[bool, list[str]]] = []

    def ring(self, *, needs_cuda: bool = False) -> None:
        with self._database.read() as session:
            self.heard.append((needs_cuda, [job.id for job in session.query(Job)]))


class UncommittableDatabase(Database):
    """A database whose transactions fail at the commit."""

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
            raise OperationalError("COMMIT", {}, Exception("the disk went away"))


@pytest.fixture
def doorbell(app: FastAPI, client: TestClient, database: Database) -> ListeningDoorbell:
    doorbell = ListeningDoorbell(database)
    app.state.services = dataclasses.replace(app.state.services, doorbell=doorbell)
    return doorbell


def test_a_job_is_made_with_all_defaults_filled_in(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    response = client.post("/jobs", json=request_body | {"config": {"epochs": 1}})
    assert response.status_code == 201
    job = response.json()
    assert response.headers["Location"] == f"/jobs/{job['id']}"
    assert job["status"] == "queued"
    assert job["queue_position"] == 1
    assert job["name"] == "chats"
    assert job["config"] == TrainConfig(epochs=1).model_dump(mode="json")
    assert job["dataset"] == {"id": request_body["dataset_id"], "name": "chats", "sha256": "0" * 64}
    assert client.get(f"/jobs/{job['id']}").json() == job


def test_the_log_leads_from_the_requests_id_to_the_jobs(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell, logs: list[dict[str, Any]]
) -> None:
    for request_id in ("first", "again"):
        headers = {"X-Request-ID": request_id, "Idempotency-Key": "once"}
        job_id = client.post("/jobs", json=request_body, headers=headers).json()["id"]
    told = [(entry["request_id"], entry["is_new"]) for entry in logs if entry.get("job_id") == job_id]
    assert told == [("first", True), ("again", False)]


@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_given_is_laid_over_the_preset(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell, preset: Preset
) -> None:
    # The first value equals the field's own default. Since the request gives it, it overrides the preset.
    given = {"schedule": "linear", "lora_modules": ["q_proj"], "emotion_scale": 2}
    job = client.post("/jobs", json=request_body | {"preset": preset, "config": given}).json()
    assert job["config"] == make_config(preset, given).model_dump(mode="json")
    assert job["config"]["schedule"] == "linear"
    bare = client.post("/jobs", json=request_body | {"preset": preset}).json()
    assert bare["config"] == make_config(preset).model_dump(mode="json")


def test_without_a_preset_it_is_the_default_one(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    named = client.post("/jobs", json=request_body | {"preset": "default", "config": {"epochs": 2}}).json()
    assert client.post("/jobs", json=request_body | {"config": {"epochs": 2}}).json()["config"] == named["config"]


def test_the_same_key_with_another_preset_is_another_request(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    headers = {"Idempotency-Key": "monday-1"}
    original = request_body | {"preset": "original", "config": {"epochs": 1}}
    first = client.post("/jobs", json=original, headers=headers)
    again = client.post("/jobs", json=original, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    other = client.post("/jobs", json=original | {"preset": "default"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_the_bell_rings_after_the_commit(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    job_id = client.post("/jobs", json=request_body).json()["id"]
    assert doorbell.heard == [(False, [job_id])]


def test_a_job_that_needs_cuda_rings_for_cuda(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    client.post("/jobs", json=request_body | {"config": {"load_in_4bit": True}})
    assert [needs_cuda for needs_cuda, _ in doorbell.heard] == [True]


def test_a_commit_that_fails_is_an_error_and_rings_no_bell(
    app: FastAPI, client: TestClient, settings: Settings, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    client.get("/jobs")  # records the use of the key, so that only the job's own transaction is left to fail
    broken = UncommittableDatabase(settings.sqlalchemy_url)
    app.state.services = dataclasses.replace(app.state.services, database=broken)
    response = client.post("/jobs", json=request_body)
    broken.close()
    assert response.status_code == 503
    assert "disk went away" not in response.text
    assert doorbell.heard == []


def test_without_a_broker_a_job_is_made_all_the_same(
    client: TestClient, request_body: dict[str, Any], logs: list[dict[str, Any]]
) -> None:
    assert client.post("/jobs", json=request_body).status_code == 201
    assert "doorbell_not_rung" in [entry["event"] for entry in logs]


def test_the_same_key_and_request_make_one_job(
    client: TestClient, request_body: dict[str, Any], doorbell: ListeningDoorbell
) -> None:
    headers = {"Idempotency-Key": "monday-1"}
    first = client.post("/jobs", json=request_body, headers=headers)
    second = client.post("/jobs", json=request_body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.json() == first.json()
    assert second.headers["Location"] == first.headers["Location"]
    assert len(doorbell.heard) == 1
    assert len(client.get("/jobs").json()["items"]) == 1


def test_the_same_key_with_another_request_is_refused(client: TestClient, request_body: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "monday-1"}
    client.post("/jobs", json=request_body, headers=headers)
    response = client.post("/jobs", json=request_body | {"priority": 1}, headers=headers)
    assert response.status_code == 409
    assert response.json()["error"] == {
        "code": "idempotency_key_reused",
        "message": response.json()["error"]["message"],
        "field": "Idempotency-Key",
    }


@pytest.mark.parametrize("change", ["dataset", "disk", "model"])
def test_a_repeat_gets_its_job_whatever_has_changed_since(
    app: FastAPI,
    client: TestClient,
    settings: Settings,
    request_body: dict[str, Any],
    tmp_path: Path,
    doorbell: ListeningDoorbell,
    change: str,
) -> None:
    headers = {"Idempotency-Key": "monday-1"}
    job_id = client.post("/jobs", json=request_body, headers=headers).json()["id"]
    client.post(f"/jobs/{job_id}/cancel")
    if change == "dataset":
        assert client.delete(f"/datasets/{request_body['dataset_id']}").status_code == 204
    elif change == "model":
        (tmp_path / "tiny-gemma" / "config.json").unlink()
    else:
        full = settings.model_copy(update={"min_free_disk_bytes": 2**62})
        app.state.services = dataclasses.replace(app.state.services, settings=full)
    assert client.post("/jobs", json=request_body).status_code in (404, 409, 507)
    response = client.post("/jobs", json=request_body, headers=headers)
    assert (response.status_code, response.json()["id"]) == (200, job_id)
    assert response.headers["Idempotent-Replayed"] == "true"
    assert len(doorbell.heard) == 1


def test_jobs_come_in_pages_newest_first(client: TestClient, make_job: Callable[..., Job]) -> None:
    made = [make_job(str(number)).id for number in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = client.get("/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
    assert seen == sorted(made, reverse=True)
    assert cursor is None


def test_jobs_are_filtered_by_status(client: TestClient, make_job: Callable[..., Job]) -> None:
    kept, cancelled = make_job().id, make_job().id
    client.post(f"/jobs/{cancelled}/cancel")
    assert [job["id"] for job in client.get("/jobs?status=queued").json()["items"]] == [kept]
    assert [job["id"] for job in client.get("/jobs?status=cancelled").json()["items"]] == [cancelled]


def test_a_running_job_shows_how_far_it_is(
    client: TestClient, database: Database, make_job: Callable[..., Job], make_metric: Callable[[int], Metric]
) -> None:
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        claims.record_phase(session, job_id=job_id, attempt=1, phase="training", message="Training.")
        claims.record_metrics(session, job_id=job_id, attempt=1, metrics=[(1, make_metric(3))])
    job = client.get(f"/jobs/{job_id}").json()
    shown = {key: job[key] for key in ("status", "attempt", "phase", "step", "total_steps", "last_loss", "eta_seconds")}
    assert shown == {
        "status": "running",
        "attempt": 1,
        "phase": "training",
        "step": 3,
        "total_steps": 10,
        "last_loss": 3.0,
        "eta_seconds": 7.0,
    }
    assert job["queue_position"] is None
    assert job["started_at"].endswith("Z")


def test_a_failed_job_says_why(client: TestClient, database: Database, make_job: Callable[..., Job]) -> None:
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        run_ends.fail(session, job_id=job_id, attempt=1, end=RunEnd(-9, "host_out_of_memory", "Too big.", ["Killed"]))
    job = client.get(f"/jobs/{job_id}").json()
    assert (job["status"], job["error"]) == (
        "failed",
        {
            "code": "host_out_of_memory",
            "message": "Too big.",
            "advice": "Lower batch_size or max_length.",
            "log": ["Killed"],
        },
    )


@pytest.mark.parametrize("job_id", ["nonsense", "job_", "job_" + "A" * 26, "ds_" + "0" * 26, "job_%00"])
def test_what_is_no_id_names_no_job(client: TestClient, job_id: str) -> None:
    response = client.get(f"/jobs/{job_id}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "job_not_found")


@pytest.fixture
def second_dataset(database: Database, dataset: Dataset) -> Dataset:
    """Another dataset of the same team, with the same axes."""
    with database.write() as session:
        return datasets.add_dataset(
            session,
            dataset_id="ds_01m82br6wz098nmjn0h04fawzz",
            team_id=dataset.team_id,
            name="held-out",
            size_bytes=3,
            sha256="b" * 64,
            axes=dataset.axes,
            example_count=1,
            report=dataset.report,
        )


def test_a_validation_dataset_is_named_and_kept_while_the_job_needs_it(
    client: TestClient, request_body: dict[str, Any], second_dataset: Dataset
) -> None:
    body = request_body | {"validation_dataset_id": second_dataset.id}
    job = client.post("/jobs", json=body).json()
    assert job["validation_dataset"] == {"id": second_dataset.id, "name": "held-out", "sha256": "b" * 64}
    refused = client.delete(f"/datasets/{second_dataset.id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "dataset_in_use")
    client.post(f"/jobs/{job['id']}/cancel")
    assert client.delete(f"/datasets/{second_dataset.id}").status_code == 204
    # The job keeps the name of the dataset that it was measured on.
    assert client.get(f"/jobs/{job['id']}").json()["validation_dataset"]["name"] == "held-out"


def test_a_validation_dataset_that_does_not_go_with_the_job_is_refused(
    client: TestClient, request_body: dict[str, Any], second_dataset: Dataset, database: Database
) -> None:
    body = request_body | {"validation_dataset_id": second_dataset.id}
    both = client.post("/jobs", json=body | {"config": {"eval_fraction": 0.1}})
    with database.write() as session:
        session.merge(second_dataset).axes = ["COLD_WARM", "SHY_BOLD"]
    other_axes = client.post("/jobs", json=body)
    for answer in (both, other_axes):
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "validation_dataset_id")
    unknown = client.post("/jobs", json=request_body | {"validation_dataset_id": "ds_" + "0" * 26})
    assert (unknown.status_code, unknown.json()["error"]["field"]) == (404, "validation_dataset_id")


def test_a_job_keeps_its_datasets_statistics(
    client: TestClient, request_body: dict[str, Any], dataset: Dataset
) -> None:
    job_id = client.post("/jobs", json=request_body).json()["id"]
    client.post(f"/jobs/{job_id}/cancel")
    assert client.delete(f"/datasets/{dataset.id}").status_code == 204
    kept = client.get(f"/jobs/{job_id}/dataset").json()
    assert kept == {"id": dataset.id, "name": dataset.name, "sha256": dataset.sha256, "report": dataset.report}


def test_an_unreachable_database_is_reported_as_such(client: TestClient, database: Database) -> None:
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ALTER TABLE job RENAME TO job_away")
        connection.commit()
    answer = client.get("/jobs")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json()["error"]["code"] == "database_unavailable"
