"""Jobs on a base model in an object store, also while the store is unreachable."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from jobs.files.storage import Storage
from jobs.settings import Settings
from tests.support.stores import BucketDouble


@pytest.fixture
def bucket(tmp_path: Path) -> BucketDouble:
    return BucketDouble(tmp_path / "bucket")


@pytest.fixture
def stored(app: FastAPI, client: TestClient, settings: Settings, bucket: BucketDouble) -> TestClient:
    """A client of `team`, of an API whose base model is in the bucket."""
    storage = Storage(settings.data_dir, bucket)
    for name, content in (("model.safetensors", b"weights"), ("config.json", b"{}")):
        storage.put_note(f"models/tiny/{name}", content)
    listed = settings.model_copy(update={"base_models": {"tiny-gemma": "storage:tiny"}})
    app.state.services = dataclasses.replace(app.state.services, settings=listed, storage=storage)
    return client


def test_a_job_on_a_known_model_is_taken_while_the_store_is_away(
    stored: TestClient, bucket: BucketDouble, request_body: dict[str, Any]
) -> None:
    models = stored.get("/models").json()
    assert stored.post("/jobs:estimate", json=request_body).status_code == 200
    bucket.is_away = True
    assert stored.post("/jobs", json=request_body).status_code == 201
    assert stored.post("/jobs:estimate", json=request_body).status_code == 200
    assert stored.get("/models").json() == models


def test_a_job_on_a_model_that_was_never_fetched_is_refused_until_later(
    stored: TestClient, bucket: BucketDouble, request_body: dict[str, Any]
) -> None:
    bucket.is_away = True
    for path in ("/jobs", "/jobs:estimate"):
        answer = stored.post(path, json=request_body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "storage_unreachable")
        assert "Send the request again once the object store answers" in answer.json()["error"]["message"]
    assert stored.get("/models").status_code == 503
    assert stored.get("/jobs").json()["items"] == []
    bucket.is_away = False
    assert stored.post("/jobs", json=request_body).status_code == 201


def test_a_repeat_gets_its_job_whatever_has_become_of_the_store(
    stored: TestClient, bucket: BucketDouble, request_body: dict[str, Any], settings: Settings
) -> None:
    headers = {"Idempotency-Key": "evening"}
    first = stored.post("/jobs", json=request_body, headers=headers)
    for kept in (settings.data_dir / "cache" / "listings").rglob("*.json"):
        kept.unlink()
    bucket.is_away = True
    again = stored.post("/jobs", json=request_body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
