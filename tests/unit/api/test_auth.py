"""Keys and teams: which requests are allowed, and what another team sees."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.main import create_app
from jobs.access.teams import revoke_key
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import ApiKey, Dataset, Job
from jobs.settings import Settings
from tests.unit.conftest import TestTeam

OPEN_ROUTES = {("get", "/health/live"), ("get", "/health/ready"), ("post", "/session")}
ROUTES = sorted(
    (method, path) for path, operations in create_app(Settings()).openapi()["paths"].items() for method in operations
)
CLOSED_ROUTES = [route for route in ROUTES if route not in OPEN_ROUTES]
# These routes reach jobs of any team, so they are for operators only.
ROUTES_OF_OPERATOR = [route for route in ROUTES if route[1].startswith("/queue/") or route[1].endswith("/preempt")]
ROUTES_OF_JOB = [route for route in ROUTES if "{job_id}" in route[1] and route not in ROUTES_OF_OPERATOR]
ROUTES_OF_DATASET = [route for route in ROUTES if "{dataset_id}" in route[1]]


def fill(path: str, *, job_id: str = "job_" + "0" * 26, dataset_id: str = "ds_" + "0" * 26) -> str:
    """Fill in the given ids, unknown ids in place of the others, and the query parameters that the route requires."""
    filled = path.format(
        job_id=job_id,
        dataset_id=dataset_id,
        kind="bundle",
        upload_id="upl_" + "0" * 26,
        number=1,
        name="slot-0",
        key_id="key_" + "0" * 26,
        team="reds",
    )
    return filled + ("?base_model=tiny-gemma" if path.endswith(("/preview", "/statistics")) else "")


def test_the_lists_of_routes_are_not_empty() -> None:
    assert len(CLOSED_ROUTES) >= 13
    assert len(ROUTES_OF_JOB) >= 8
    assert len(ROUTES_OF_OPERATOR) >= 4
    assert len(ROUTES_OF_DATASET) >= 5


@pytest.mark.parametrize(("method", "path"), CLOSED_ROUTES)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer emo_unknown"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic cmVkczpzZWNyZXQ="},
    ],
    ids=["none", "unknown", "empty", "basic"],
)
def test_every_route_but_health_and_login_needs_a_key(
    anonymous: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = anonymous.request(method, fill(path), headers=headers)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.json()["error"]["code"] == "api_key_invalid"


def test_a_revoked_key_is_refused_at_once(client: TestClient, database: Database, team: TestTeam) -> None:
    assert client.get("/jobs").status_code == 200
    with database.write() as session:
        revoke_key(session, key_id=team.key_id)
    assert client.get("/jobs").status_code == 401


@pytest.mark.parametrize(("method", "path"), ROUTES_OF_JOB)
def test_another_teams_job_does_not_exist(
    client: TestClient, other_client: TestClient, make_job: Callable[..., Job], method: str, path: str
) -> None:
    job_id = make_job().id
    body: dict[str, str] | None = {} if method == "patch" else None
    theirs = other_client.request(method, fill(path, job_id=job_id), json=body)
    missing = other_client.request(method, fill(path), json=body)
    assert theirs.status_code == missing.status_code == 404
    assert theirs.json() == missing.json()
    assert theirs.json()["error"]["code"] == "job_not_found"
    assert client.get(f"/jobs/{job_id}").json()["status"] == "queued"


@pytest.mark.parametrize(("method", "path"), ROUTES_OF_OPERATOR)
def test_routes_of_operators_reveal_nothing_to_others(
    client: TestClient, other_client: TestClient, make_job: Callable[..., Job], method: str, path: str
) -> None:
    job_id = make_job().id
    answers = [
        sender.request(method, fill(path, job_id=each), json={"reason": "x"})
        for sender in (client, other_client)
        for each in (job_id, "job_" + "0" * 26)
    ]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1
    assert client.get(f"/jobs/{job_id}").json()["queue_reason"]["code"] != "held"


@pytest.mark.parametrize(("method", "path"), ROUTES_OF_DATASET)
def test_another_teams_dataset_does_not_exist(
    client: TestClient, other_client: TestClient, dataset: Dataset, method: str, path: str
) -> None:
    theirs = other_client.request(method, fill(path, dataset_id=dataset.id))
    missing = other_client.request(method, fill(path))
    assert theirs.status_code == missing.status_code == 404
    assert theirs.json() == missing.json()
    assert client.get(f"/datasets/{dataset.id}").status_code == 200


def test_lists_hold_only_what_the_team_owns(
    client: TestClient, other_client: TestClient, make_job: Callable[..., Job], dataset: Dataset
) -> None:
    make_job()
    assert len(client.get("/jobs").json()["items"]) == 1
    assert len(client.get("/datasets").json()["items"]) == 1
    assert other_client.get("/jobs").json()["items"] == []
    assert other_client.get("/datasets").json()["items"] == []


def test_another_teams_dataset_is_no_base_for_a_job(other_client: TestClient, dataset: Dataset) -> None:
    response = other_client.post("/jobs", json={"dataset_id": dataset.id, "base_model": "tiny-gemma"})
    assert response.status_code == 404
    assert response.json()["error"]["field"] == "dataset_id"


def test_the_use_of_a_key_is_noted_once_a_minute(client: TestClient, database: Database, team: TestTeam) -> None:
    def read_last_use() -> ApiKey:
        with database.read() as session:
            return session.get_one(ApiKey, team.key_id)

    assert read_last_use().last_used_at is None
    client.get("/jobs")
    first = read_last_use().last_used_at
    assert first is not None
    client.get("/jobs")
    assert read_last_use().last_used_at == first
    with database.write() as session:
        session.get_one(ApiKey, team.key_id).last_used_at = utc_now() - timedelta(minutes=2)
    client.get(f"/jobs/{'job_' + '0' * 26}")
    client.get("/jobs")
    again = read_last_use().last_used_at
    assert again is not None
    assert again >= first


def test_every_route_of_a_team_asks_for_the_caller(app: FastAPI) -> None:
    """Each route that the documentation calls closed has the security schemes, so generated clients send the key."""
    operations = [
        operation
        for path, operations in app.openapi()["paths"].items()
        for method, operation in operations.items()
        if (method, path) not in OPEN_ROUTES
    ]
    assert all(operation["security"] == [{"HTTPBearer": []}, {"SessionCookie": []}] for operation in operations)
