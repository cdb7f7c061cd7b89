"""Operators create teams, and usage is reported by team."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from jobs.database.engine import Database
from jobs.models import Job, Run
from jobs.runs import claims
from tests.unit.conftest import TestTeam


def test_an_operator_makes_a_team_and_its_first_key(operator: TestClient, client: TestClient) -> None:
    made = operator.post("/teams", json={"name": " greens "})
    assert made.status_code == 201
    assert (made.json()["name"], made.json()["weight"], made.json()["max_running"]) == ("greens", 1.0, None)
    assert made.json() in operator.get("/teams").json()["items"]
    assert operator.post("/keys", json={"name": "first", "team": "greens"}).json()["key"]["team"] == "greens"
    again = operator.post("/teams", json={"name": "greens"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "team_name_taken")
    refused = client.post("/teams", json={"name": "yellows"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "operator_needed")
    for name in ("", " ", "x" * 101, "a\x00b", None):
        assert operator.post("/teams", json={"name": name}).status_code == 422


def test_a_team_sees_what_it_used_and_an_operator_what_others_did(
    client: TestClient,
    other_client: TestClient,
    operator: TestClient,
    database: Database,
    make_job: Callable[..., Job],
    team: TestTeam,
) -> None:
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        session.get_one(Run, (job_id, 1)).started_at = datetime.now(UTC) - timedelta(hours=1)
    operator.patch("/teams/reds", json={"max_slot_seconds": 7200})
    usage = client.get("/team/usage", params={"days": 3}).json()
    today = datetime.now(UTC).date()
    dates = [str(today - timedelta(days=ago)) for ago in (2, 1, 0)]
    assert [day["date"] for day in usage["days"]] in (dates, [str(today - timedelta(days=ago)) for ago in (3, 2, 1)])
    assert sum(day["slot_seconds"] for day in usage["days"]) == pytest.approx(3600, abs=60)
    assert usage["days"][-1]["run_count"] == 1
    assert usage["window_seconds"] == 7 * 24 * 3600
    assert usage["window_slot_seconds"] >= 3599
    assert usage["max_slot_seconds"] == 7200
    for name in ("reds", team.id):
        seen = operator.get(f"/teams/{name}/usage", params={"days": 3}).json()
        assert [day["date"] for day in seen["days"]] == [day["date"] for day in usage["days"]]
        assert sum(day["run_count"] for day in seen["days"]) >= 1
    theirs = other_client.get("/team/usage").json()
    assert len(theirs["days"]) == 30
    assert {(day["slot_seconds"], day["run_count"]) for day in theirs["days"]} == {(0.0, 0)}
    assert (theirs["window_slot_seconds"], theirs["max_slot_seconds"]) == (0.0, None)
    assert other_client.get("/teams/reds/usage").status_code == 403
    assert operator.get("/teams/greens/usage").json()["error"]["code"] == "team_not_found"
    for days in (0, 367, "x"):
        assert client.get("/team/usage", params={"days": days}).status_code == 422
    assert len(client.get("/team/usage", params={"days": 366}).json()["days"]) == 366
