"""Refused requests about jobs: each error says where the fault is and what to do."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs.database.engine import Database
from jobs.models import Dataset, Job
from jobs.runs import slots
from jobs.settings import Settings


@pytest.mark.parametrize("key", ["", "x" * 256, "two words"])
def test_an_idempotency_key_that_is_none_is_refused(client: TestClient, request_body: dict[str, Any], key: str) -> None:
    response = client.post("/jobs", json=request_body, headers={"Idempotency-Key": key})
    assert response.status_code == 422
    assert response.json()["error"]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("change", "status", "code", "field", "advice"),
    [
        ({"base_model": "gpt"}, 422, "base_model_unknown", "base_model", "tiny-gemma"),
        ({"base_model": 5}, 422, "request_invalid", "base_model", "string"),
        ({"dataset_id": "ds_" + "0" * 26}, 404, "dataset_not_found", "dataset_id", "GET /datasets"),
        ({"dataset_id": "../etc"}, 422, "request_invalid", "dataset_id", "that `POST /datasets` returned: ds_"),
        ({"config": {"lora_rank": 0}}, 422, "request_invalid", "config.lora_rank", "greater than or equal to 1"),
        ({"config": {"lora_rnk": 8}}, 422, "request_invalid", "config.lora_rnk", "did you mean `lora_rank`?"),
        ({"config": {"lora_modules": ["q_proj", "q_proj"]}}, 422, "request_invalid", "config", "names a module twice"),
        ({"config": {"lora_modules": ["nose"]}}, 422, "request_invalid", "config.lora_modules.0", "'q_proj'"),
        ({"config": {"batch_size": "many"}}, 422, "request_invalid", "config.batch_size", "integer"),
        ({"config": None}, 422, "request_invalid", "config", "object"),
        ({"preset": "best"}, 422, "request_invalid", "preset", "'default' or 'original'"),
        ({"preset": None}, 422, "request_invalid", "preset", "'default' or 'original'"),
        ({"preset": "original", "config": {"lora_rnk": 8}}, 422, "request_invalid", "config.lora_rnk", "`lora_rank`?"),
        ({"preset": "original", "config": {"epochs": "2"}}, 422, "request_invalid", "config.epochs", "number"),
        ({"preset": "original", "config": [1]}, 422, "request_invalid", "config", "object"),
        ({"priority": 101}, 422, "request_invalid", "priority", "less than or equal to 100"),
        ({"name": " "}, 422, "request_invalid", "name", "at least 1"),
        ({"name": "a\nb"}, 422, "request_invalid", "name", "contains control characters"),
        ({"priority": "5"}, 422, "request_invalid", "priority", "integer"),
        ({"priority": True}, 422, "request_invalid", "priority", "integer"),
        ({"nmae": "x"}, 422, "request_invalid", "nmae", "did you mean `name`?"),
        ({"zzz": "x"}, 422, "request_invalid", "zzz", "leave it out"),
    ],
)
def test_a_wrong_request_is_refused_with_place_and_advice(
    client: TestClient,
    request_body: dict[str, Any],
    change: dict[str, Any],
    status: int,
    code: str,
    field: str,
    advice: str,
) -> None:
    response = client.post("/jobs", json=request_body | change)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (status, code, field)
    assert advice in error["message"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["epochs", "batch_size", "lora_rank"])
def test_a_value_that_is_no_number_is_reported_as_such(
    client: TestClient, dataset: Dataset, field: str, number: str
) -> None:
    content = f'{{"dataset_id": "{dataset.id}", "base_model": "tiny-gemma", "config": {{"{field}": {number}}}}}'
    response = client.post("/jobs", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"]["message"] == f"`config.{field}` is not a finite number."


@pytest.mark.parametrize(
    ("path", "headers", "advice"),
    [
        ("/jobs?cursor=x", {}, "send the `next_cursor` of the previous page"),
        ("/jobs/{job_id}/events?after=x", {}, "give the `cursor` of the last item you have"),
        ("/jobs/{job_id}/metrics?after=x", {}, "give the `cursor` of the last item you have"),
        ("/jobs/{job_id}/metrics", {"Last-Event-ID": "x"}, "give the `cursor` of the last item you have"),
    ],
)
def test_a_wrong_cursor_is_refused_with_the_right_form(
    client: TestClient, make_job: Callable[..., Job], path: str, headers: dict[str, str], advice: str
) -> None:
    response = client.get(path.format(job_id=make_job().id), headers=headers)
    assert response.status_code == 422
    assert advice in response.json()["error"]["message"]
    assert "pattern" not in response.json()["error"]["message"]


def test_several_faults_are_all_listed(client: TestClient, request_body: dict[str, Any]) -> None:
    response = client.post("/jobs", json=request_body | {"priority": 999, "config": {"epochs": 0}})
    error = response.json()["error"]
    assert [problem["field"] for problem in error["details"]] == ["config.epochs", "priority"]
    assert (error["field"], error["message"]) == tuple(error["details"][0].values())


def test_a_wrong_preset_hides_no_other_fault(client: TestClient, request_body: dict[str, Any]) -> None:
    response = client.post("/jobs", json=request_body | {"preset": "best", "config": {"epochs": 0}})
    assert [problem["field"] for problem in response.json()["error"]["details"]] == ["preset", "config.epochs"]
    alone = client.post("/jobs", json=request_body | {"preset": "best"}).json()["error"]
    assert (alone["field"], "details" in alone) == ("preset", False)


def test_a_missing_field_is_named(client: TestClient) -> None:
    response = client.post("/jobs", json={"dataset_id": "ds_" + "0" * 26})
    assert response.json()["error"]["message"] == "`base_model` is missing; it is required."


@pytest.mark.parametrize(
    ("content", "headers", "advice"),
    [
        (b"{", {"Content-Type": "application/json"}, "at character 1"),
        (b"{}", {"Content-Type": "text/plain"}, "Content-Type: application/json"),
        (b"[1]", {"Content-Type": "application/json"}, "JSON object"),
        (b"", {}, "JSON object"),
    ],
    ids=["broken", "no JSON type", "list", "empty"],
)
def test_a_body_that_is_no_json_object_is_refused(
    client: TestClient, content: bytes, headers: dict[str, str], advice: str
) -> None:
    response = client.post("/jobs", content=content, headers=headers)
    assert response.status_code == 422
    assert advice in response.json()["error"]["message"]


def test_a_body_that_is_too_large_is_refused(client: TestClient, settings: Settings) -> None:
    response = client.post("/jobs", json={"name": "x" * settings.max_body_bytes})
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


def test_a_body_that_grows_too_large_is_refused(client: TestClient, settings: Settings) -> None:
    def grow() -> Iterator[bytes]:
        for _ in range(settings.max_body_bytes // 1000 + 1):
            yield b" " * 1000

    response = client.post("/jobs", content=grow(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


def test_a_model_whose_files_are_gone_is_a_conflict(
    client: TestClient, settings: Settings, request_body: dict[str, Any], tmp_path: Any
) -> None:
    (tmp_path / "tiny-gemma" / "config.json").unlink()
    response = client.post("/jobs", json=request_body)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "base_model_missing")
    assert client.get("/models").json()["items"] == [{"name": "tiny-gemma", "is_available": False, "size_bytes": 0}]


def test_what_no_slot_can_run_is_a_conflict(
    client: TestClient, database: Database, request_body: dict[str, Any]
) -> None:
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
    response = client.post("/jobs", json=request_body | {"config": {"backend": "unsloth"}})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["field"]) == (409, "no_slot_for_config", "config.backend")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=lost", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("limt=5", "limt"),
    ],
)
def test_a_wrong_query_is_refused(client: TestClient, query: str, field: str) -> None:
    response = client.get(f"/jobs?{query}")
    assert (response.status_code, response.json()["error"]["field"]) == (422, field)


def test_a_body_that_is_no_text_is_refused(client: TestClient) -> None:
    response = client.post("/jobs", content=b"\xff{", headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "request_unreadable")
    assert "UTF-8" in response.json()["error"]["message"]
