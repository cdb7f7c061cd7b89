"""Slots over HTTP: what every team sees, what only its own team sees, and what is for the operator."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from jobs.database.engine import Database
from jobs.models import Job, Slot
from jobs.release import get_release
from jobs.runs import claims, slots


@pytest.fixture(autouse=True)
def two_slots(database: Database) -> None:
    with database.write() as session:
        slots.note_slot(session, name="box-cpu", device="cpu", host="box", memory_bytes=2**34)
        slots.note_slot(
            session,
            name="box-cuda-0",
            device="cuda",
            host="box",
            size=2.0,
            memory_bytes=2**36,
            memory_used_bytes=2**30,
            gpu_name="NVIDIA Test 100",
            gpu_uuid="GPU-3ab1f7c2",
            utilization_percent=96.0,
            temperature_celsius=61.0,
            power_watts=412.5,
            blocked_reason="The GPU is in use by process 7 (python, of alice, 1.0 GiB).",
        )


def list_slots(client: TestClient) -> dict[str, dict[str, object]]:
    response = client.get("/slots")
    assert response.status_code == 200
    return {slot["name"]: slot for slot in response.json()["items"]}


def test_every_key_sees_all_slots(client: TestClient, other_client: TestClient) -> None:
    found = list_slots(client)
    assert found == list_slots(other_client)
    assert list(found) == ["box-cpu", "box-cuda-0"]
    gpu = found["box-cuda-0"]
    assert gpu.pop("seen_at")
    assert gpu == {
        "name": "box-cuda-0",
        "host": "box",
        "device": "cuda",
        "status": "blocked",
        "blocked_reason": "The GPU is in use by process 7 (python, of alice, 1.0 GiB).",
        "job": None,
        "size": 2.0,
        "memory_bytes": 2**36,
        "memory_used_bytes": 2**30,
        "gpu_name": "NVIDIA Test 100",
        "gpu_uuid": "GPU-3ab1f7c2",
        "utilization_percent": 96.0,
        "temperature_celsius": 61.0,
        "power_watts": 412.5,
        "emotune_version": get_release(),
        "is_other_release": False,
        "drained_at": None,
    }
    assert (found["box-cpu"]["status"], found["box-cpu"]["gpu_name"]) == ("idle", None)


def test_a_worker_of_another_release_is_shown(client: TestClient, database: Database) -> None:
    with database.write() as session:
        session.execute(update(Slot).where(Slot.name == "box-cpu").values(emotune_version="0.0.9"))
        session.execute(update(Slot).where(Slot.name == "box-cuda-0").values(emotune_version=None))
    found = list_slots(client)
    assert [(slot["emotune_version"], slot["is_other_release"]) for slot in found.values()] == [
        ("0.0.9", True),
        (None, True),
    ]


def test_the_job_on_a_slot_is_named_to_its_team_and_the_operator_alone(
    client: TestClient,
    other_client: TestClient,
    operator: TestClient,
    database: Database,
    make_job: Callable[..., Job],
) -> None:
    job_id = make_job("secret plans").id
    with database.write() as session:
        claims.claim_next(session, slot="box-cpu", device="cpu", lease_seconds=60)
    for who, job in ((client, {"id": job_id, "name": "secret plans", "is_own": True}), (other_client, None)):
        slot = list_slots(who)["box-cpu"]
        assert (slot["status"], slot["job"]) == ("running", job)
    assert list_slots(operator)["box-cpu"]["job"] == {"id": job_id, "name": "secret plans", "is_own": False}


def test_the_operator_drains_a_slot_and_resumes_it(operator: TestClient, database: Database) -> None:
    drained = operator.post("/slots/box-cpu/drain")
    assert (drained.status_code, drained.json()["status"]) == (200, "drained")
    assert operator.post("/slots/box-cpu/drain").json()["drained_at"] == drained.json()["drained_at"]
    assert list_slots(operator)["box-cpu"]["status"] == "drained"
    with database.read() as session:
        assert session.get_one(Slot, "box-cpu").drained_at is not None
    resumed = operator.post("/slots/box-cpu/resume")
    assert (resumed.status_code, resumed.json()["status"], resumed.json()["drained_at"]) == (200, "idle", None)


@pytest.mark.parametrize("verb", ["drain", "resume"])
def test_other_keys_may_not(client: TestClient, verb: str) -> None:
    response = client.post(f"/slots/box-cpu/{verb}")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "operator_needed"
    assert list_slots(client)["box-cpu"]["status"] == "idle"


@pytest.mark.parametrize("verb", ["drain", "resume"])
@pytest.mark.parametrize("name", ["nowhere", "NO_NAME", "x" * 80])
def test_a_slot_that_is_not_there_is_not_found(operator: TestClient, name: str, verb: str) -> None:
    response = operator.post(f"/slots/{name}/{verb}")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "slot_not_found"


def test_health_says_which_slots_take_no_job_and_not_why(anonymous: TestClient, operator: TestClient) -> None:
    operator.post("/slots/box-cpu/drain")
    check = anonymous.get("/health/ready").json()["checks"]["worker"]
    assert check == {"ok": True, "message": "Slots: box-cpu (drained), box-cuda-0 (blocked)."}
