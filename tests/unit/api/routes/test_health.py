"""The health probes."""

import dataclasses

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from api.main import create_app
from emomodel.train_extra import INSTALL_LINE
from jobs.database.engine import Database
from jobs.runs import slots
from jobs.settings import Settings
from tests.support.newer_schemas import NEWER, migrate_further


class AnsweringRedis(Redis):
    """A Redis that answers a ping."""

    def ping(self, **_options: object) -> bool:
        return True


def test_the_process_is_alive(anonymous: TestClient) -> None:
    response = anonymous.get("/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "alive"})


def test_what_is_missing_is_named(anonymous: TestClient) -> None:
    response = anonymous.get("/health/ready")
    body = response.json()
    assert (response.status_code, body["status"], body["error"]["code"]) == (503, "not_ready", "not_ready")
    assert {name: check["ok"] for name, check in body["checks"].items()} == {
        "database": True,
        "redis": False,
        "worker": False,
        "disk": True,
        "storage": True,
    }
    assert "redis: " in body["error"]["message"]
    assert "worker: " in body["error"]["message"]
    assert "database: " not in body["error"]["message"]


def test_with_everything_there_the_service_is_ready(app: FastAPI, anonymous: TestClient, database: Database) -> None:
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
    app.state.services = dataclasses.replace(app.state.services, redis=AnsweringRedis())
    response = anonymous.get("/health/ready")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert "error" not in response.json()
    assert "slot-0" in response.json()["checks"]["worker"]["message"]


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({"database_url": "sqlite:////dev"}, ["database", "worker"]),
        ({"min_free_disk_bytes": 2**62}, ["worker", "disk"]),
        ({"worker_seen_seconds": 1e-6}, ["worker"]),
    ],
)
def test_each_check_can_fail(
    settings: Settings, database: Database, change: dict[str, object], failing: list[str]
) -> None:
    if "worker_seen_seconds" in change:
        with database.write() as session:
            slots.note_slot(session, name="slot-0", device="cpu", host="here")
    app = create_app(Settings.model_validate(settings.model_dump() | change))
    with TestClient(app) as client:
        app.state.services = dataclasses.replace(app.state.services, redis=AnsweringRedis())
        body = client.get("/health/ready").json()
    assert [name for name, check in body["checks"].items() if not check["ok"]] == failing
    assert "/dev" not in str(body)


def test_workers_that_lack_packages_are_no_workers(app: FastAPI, anonymous: TestClient, database: Database) -> None:
    app.state.services = dataclasses.replace(app.state.services, redis=AnsweringRedis())
    lacking = f"This worker can't train, as peft is not installed: {INSTALL_LINE}."
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here", blocked_reason=lacking)
    response = anonymous.get("/health/ready")
    assert (response.status_code, response.json()["checks"]["worker"]) == (
        503,
        {"ok": False, "message": f"No worker can train. Slots: slot-0 (blocked: {INSTALL_LINE})."},
    )
    with database.write() as session:
        slots.note_slot(session, name="slot-1", device="cpu", host="there")
    response = anonymous.get("/health/ready")
    assert (response.status_code, response.json()["checks"]["worker"]["message"]) == (
        200,
        f"Slots: slot-0 (blocked: {INSTALL_LINE}), slot-1.",
    )


def test_a_database_of_a_release_that_this_one_cannot_work_with_is_not_ready(
    anonymous: TestClient, database: Database
) -> None:
    migrate_further(database, oldest_code=NEWER)
    response = anonymous.get("/health/ready")
    assert response.status_code == 503
    assert "install the newer release" in response.json()["checks"]["database"]["message"]
