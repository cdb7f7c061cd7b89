"""Posting jobs over HTTP: those that need more memory than any slot has, and those that fit."""

import json
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from jobs.database.engine import Database
from jobs.runs import slots
from jobs.settings import GIB, MIB, Device, Settings

GEMMA_1B = {
    "model_type": "gemma3_text",
    "hidden_size": 1152,
    "num_hidden_layers": 26,
    "intermediate_size": 6912,
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "head_dim": 256,
    "vocab_size": 262_144,
}
TINY = GEMMA_1B | {"hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 128, "vocab_size": 1024}
LARGE = {"backend": "unsloth", "batching": "fixed", "batch_size": 32, "max_length": 1024}


def prepare(settings: Settings, database: Database, model: dict[str, Any], device: Device, memory_bytes: int) -> None:
    """Prepare one base model and one slot."""
    (Path(settings.base_models["tiny-gemma"]) / "config.json").write_text(json.dumps(model))
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device=device, host="here", memory_bytes=memory_bytes)


def test_what_fits_no_slot_is_a_conflict_that_says_what_would(
    client: TestClient, settings: Settings, database: Database, request_body: dict[str, Any]
) -> None:
    prepare(settings, database, GEMMA_1B, "cuda", 24 * GIB)
    answer = client.post("/jobs", json=request_body | {"config": LARGE})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (409, "would_not_fit", "config")
    assert "has 24.0 GiB. Set gradient_checkpointing: true, or batch_size: 8 and" in error["message"]
    assert client.get("/jobs").json()["items"] == []
    advised = LARGE | {"gradient_checkpointing": True}
    assert client.post("/jobs", json=request_body | {"config": advised}).status_code == 201


def test_a_tiny_model_is_taken_by_a_small_cpu_slot(
    client: TestClient, settings: Settings, database: Database, request_body: dict[str, Any]
) -> None:
    prepare(settings, database, TINY, "cpu", 2 * GIB)
    assert client.post("/jobs", json=request_body).status_code == 201


def test_a_cpu_slot_refuses_what_is_beyond_its_machine(
    client: TestClient, settings: Settings, database: Database, request_body: dict[str, Any]
) -> None:
    prepare(settings, database, GEMMA_1B, "cpu", 512 * MIB)
    error = client.post("/jobs", json=request_body).json()["error"]
    assert error["code"] == "would_not_fit"
    assert error["message"].endswith("choose a smaller base model.")


def test_a_repeat_gets_its_job_although_it_would_not_fit_any_more(
    client: TestClient, settings: Settings, database: Database, request_body: dict[str, Any]
) -> None:
    prepare(settings, database, GEMMA_1B, "cuda", 80 * GIB)
    body, headers = request_body | {"config": LARGE}, {"Idempotency-Key": "monday-1"}
    first = client.post("/jobs", json=body, headers=headers)
    prepare(settings, database, GEMMA_1B, "cuda", 24 * GIB)
    again = client.post("/jobs", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
