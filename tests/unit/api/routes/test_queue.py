"""GET /queue, and how operators change the queue."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from jobs.database.engine import Database
from jobs.models import Job
from jobs.runs import claims, slots
from jobs.settings import Settings
from tests.unit.conftest import TestTeam, make_dataset


@pytest.fixture
def slot(database: Database) -> str:
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
    return "slot-0"


@pytest.fixture
def make_other_job(other_client: TestClient, other_team: TestTeam, database: Database) -> Callable[[], str]:
    """Return a function that queues a job of another team."""

    def make() -> str:
        dataset = make_dataset(database, other_team)
        body = {"dataset_id": dataset.id, "base_model": "tiny-gemma", "name": "secret"}
        return str(other_client.post("/jobs", json=body).json()["id"])

    return make


def test_a_team_sees_its_own_jobs_and_of_the_others_that_they_are_there(
    client: TestClient, make_job: Callable[..., Job], make_other_job: Callable[[], str], slot: str
) -> None:
    own, other = make_job("mine").id, make_other_job()
    page = client.get("/queue").json()
    assert (page["total_count"], page["next_offset"]) == (2, None)
    shown = {item["position"]: item for item in page["items"]}
    assert sorted(shown) == [1, 2]
    mine = next(item for item in page["items"] if item["job"])
    assert (mine["job"]["id"], mine["job"]["name"], mine["job"]["team"]) == (own, "mine", "reds")
    assert set(mine["reason"]) == {"code", "message"}
    hidden = next(item for item in page["items"] if not item["job"])
    assert hidden == {"position": 3 - mine["position"], "job": None, "reason": None, "starts_at": None}
    assert other not in str(page)
    assert "secret" not in str(page)
    job = client.get(f"/jobs/{own}").json()
    assert (job["queue_position"], job["queue_reason"]) == (mine["position"], mine["reason"])


def test_an_operator_sees_all_jobs_with_their_teams(
    operator: TestClient, make_job: Callable[..., Job], make_other_job: Callable[[], str], slot: str
) -> None:
    jobs = {make_job().id, make_other_job()}
    items = operator.get("/queue").json()["items"]
    assert {item["job"]["id"] for item in items} == jobs
    assert {item["job"]["team"] for item in items} == {"reds", "blues"}


def test_the_queue_comes_in_pages(client: TestClient, make_job: Callable[..., Job]) -> None:
    for _ in range(5):
        make_job()
    positions: list[int] = []
    offset: int | None = 0
    while offset is not None:
        page = client.get("/queue", params={"offset": offset, "limit": 2}).json()
        assert page["total_count"] == 5
        positions += [item["position"] for item in page["items"]]
        offset = page["next_offset"]
    assert positions == [1, 2, 3, 4, 5]
    assert client.get("/queue", params={"offset": 99}).json()["items"] == []


def test_starts_are_foreseen_where_a_slot_is_there(client: TestClient, make_job: Callable[..., Job], slot: str) -> None:
    first, second = make_job(), make_job()
    items = client.get("/queue").json()["items"]
    assert [item["job"]["id"] for item in items] == [first.id, second.id]
    assert items[0]["reason"]["code"] == "starting"
    assert items[1]["reason"] == {"code": "behind_team", "message": "behind 1 job of your team"}
    assert items[0]["starts_at"] < items[1]["starts_at"]


def test_hold_release_and_move(
    client: TestClient, operator: TestClient, make_job: Callable[..., Job], slot: str
) -> None:
    first, second = make_job(), make_job()
    held = operator.post(f"/queue/{first.id}/hold", json={"reason": "  odd dataset "})
    assert held.status_code == 200
    assert (held.json()["position"], held.json()["reason"]["message"]) == (None, "held by the operator: odd dataset")
    job = client.get(f"/jobs/{first.id}").json()
    assert (job["queue_position"], job["queue_reason"]["code"]) == (None, "held")
    assert operator.post(f"/queue/{first.id}/release").json()["position"] == 1
    moved = operator.post(f"/queue/{second.id}/move", json={"position": 1}).json()
    assert (moved["position"], moved["job"]["is_pinned"]) == (1, True)
    assert operator.post(f"/queue/{second.id}/move", json={"position": None}).json()["position"] == 2
    events = client.get(f"/jobs/{second.id}/events").json()["items"]
    assert [event["kind"] for event in events] == ["queued", "moved", "moved"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/queue/{job_id}/hold", {"reason": "x"}),
        ("POST", "/queue/{job_id}/release", None),
        ("POST", "/queue/{job_id}/move", {"position": 1}),
        ("GET", "/teams", None),
        ("PATCH", "/teams/reds", {"weight": 100}),
    ],
)
def test_the_operators_calls_need_an_operators_key(
    client: TestClient, make_job: Callable[..., Job], method: str, path: str, body: dict[str, Any] | None
) -> None:
    response = client.request(method, path.format(job_id=make_job().id), json=body)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "operator_needed"


def test_what_does_not_wait_is_refused(
    operator: TestClient, database: Database, make_job: Callable[..., Job], slot: str
) -> None:
    job = make_job()
    with database.write() as session:
        claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
    response = operator.post(f"/queue/{job.id}/hold", json={"reason": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "job_not_waiting")
    unknown = operator.post(f"/queue/job_{'0' * 26}/hold", json={"reason": "x"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "job_not_found")
    for body in ({"reason": ""}, {}, {"reason": "x" * 201}):
        assert operator.post(f"/queue/{job.id}/hold", json=body).status_code == 422
    for position in (0, 1001, "1", 1.5):
        assert operator.post(f"/queue/{job.id}/move", json={"position": position}).status_code == 422


# Teams


def test_a_team_sees_its_own_share_and_quotas(
    client: TestClient, other_client: TestClient, make_job: Callable[..., Job]
) -> None:
    make_job()
    team = client.get("/team").json()
    assert (team["name"], team["weight"], team["queued_count"], team["max_running"]) == ("reds", 1.0, 1, None)
    assert team["share"] == 0.5
    assert other_client.get("/team").json()["name"] == "blues"


def test_an_operator_changes_teams(
    client: TestClient, operator: TestClient, make_job: Callable[..., Job], team: TestTeam
) -> None:
    changed = operator.patch("/teams/reds", json={"weight": 3, "max_queued": 1, "max_priority_class": "urgent"}).json()
    assert (changed["weight"], changed["max_queued"], changed["max_running"]) == (3.0, 1, None)
    assert [each["name"] for each in operator.get("/teams").json()["items"]] == ["operators", "reds"]
    assert client.get("/team").json() == changed
    make_job()
    freed = operator.patch(f"/teams/{team.id}", json={"max_queued": None}).json()
    assert (freed["max_queued"], freed["weight"]) == (None, 3.0)
    unknown = operator.patch("/teams/greens", json={"weight": 1})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "team_not_found")
    for body in ({}, {"weight": None}, {"weight": 0}, {"max_running": -1}, {"max_priority_class": None}, {"x": 1}):
        assert operator.patch("/teams/reds", json=body).status_code == 422


def test_quotas_are_reported_when_a_job_is_posted(
    client: TestClient, operator: TestClient, make_job: Callable[..., Job], dataset_id: str, settings: Settings
) -> None:
    operator.patch("/teams/reds", json={"max_queued": 1})
    body = {"dataset_id": dataset_id, "base_model": "tiny-gemma"}
    first = client.post("/jobs", json=body, headers={"Idempotency-Key": "a"})
    refused = client.post("/jobs", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "quota_exceeded")
    assert refused.json()["error"]["message"].startswith("1 of 1 jobs of your team are waiting already.")
    assert client.post("/jobs", json=body, headers={"Idempotency-Key": "a"}).json()["id"] == first.json()["id"]


def test_classes_and_timeouts_are_posted_and_read(client: TestClient, operator: TestClient, dataset_id: str) -> None:
    body = {"dataset_id": dataset_id, "base_model": "tiny-gemma"}
    for path in ("/jobs", "/jobs:estimate"):
        refused = client.post(path, json={**body, "priority_class": "urgent"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "priority_class_too_high")
        assert refused.json()["error"]["field"] == "priority_class"
    operator.patch("/teams/reds", json={"max_priority_class": "urgent"})
    plain = client.post("/jobs", json=body).json()
    assert (plain["priority_class"], plain["timeout_seconds"]) == ("normal", None)
    urgent = client.post("/jobs", json={**body, "priority_class": "urgent", "timeout_seconds": 90}).json()
    assert (urgent["priority_class"], urgent["timeout_seconds"], urgent["queue_position"]) == ("urgent", 90.0, 1)
    assert client.get(f"/jobs/{plain['id']}").json()["queue_position"] == 2
    estimate = client.post("/jobs:estimate", json={**body, "priority_class": "low"}).json()
    assert estimate["queue_position"] == 3


def test_an_operator_preempts_a_running_job_of_any_team(
    client: TestClient, operator: TestClient, database: Database, slot: str, make_job: Callable[..., Job]
) -> None:
    job_id = make_job().id
    assert operator.post(f"/jobs/{job_id}/preempt").json()["error"]["code"] == "job_not_running"
    with database.write() as session:
        assert claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60) is not None
    assert client.post(f"/jobs/{job_id}/preempt").status_code == 403
    for _ in range(2):
        asked = operator.post(f"/jobs/{job_id}/preempt")
        assert (asked.status_code, asked.json()["stop_kind"]) == (202, "preempt")
    assert client.get(f"/jobs/{job_id}").json()["stop_requested"] is True
