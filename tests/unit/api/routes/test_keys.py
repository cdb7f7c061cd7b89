"""API keys over the API: a team manages its own keys, and an operator those of all teams."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.conftest import TestTeam


def make_client(app: FastAPI, secret: str) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {secret}"}, raise_server_exceptions=False)


def test_a_team_makes_lists_and_revokes_its_keys(app: FastAPI, client: TestClient, team: TestTeam) -> None:
    made = client.post("/keys", json={"name": " desk "})
    assert made.status_code == 201
    key, secret = made.json()["key"], made.json()["secret"]
    assert (key["name"], key["team"], key["is_operator"], key["is_current"]) == ("desk", "reds", False, False)
    assert secret.startswith(key["prefix"])
    assert (key["last_used_at"], key["revoked_at"]) == (None, None)
    desk = make_client(app, secret)
    assert desk.get("/session").json()["key"]["is_current"] is True
    listed = client.get("/keys").json()["items"]
    assert [(each["id"], each["is_current"]) for each in listed] == [(key["id"], False), (team.key_id, True)]
    assert listed[0]["last_used_at"] is not None
    assert secret not in str(listed)
    revoked = client.post(f"/keys/{key['id']}/revoke").json()
    assert revoked["revoked_at"] is not None
    assert client.post(f"/keys/{key['id']}/revoke").json() == revoked
    assert desk.get("/jobs").status_code == 401
    assert client.get("/keys").json()["items"][0]["revoked_at"] == revoked["revoked_at"]


def test_a_key_may_revoke_itself_and_ends_its_sessions(
    app: FastAPI, anonymous: TestClient, client: TestClient, team: TestTeam
) -> None:
    browser = TestClient(app)
    opened = browser.post("/session", json={"api_key": team.secret}).json()
    headers = {"X-CSRF-Token": opened["csrf_token"]}
    assert browser.get("/keys").json()["items"][0]["is_current"] is True
    assert browser.post(f"/keys/{team.key_id}/revoke", headers=headers).json()["is_current"] is True
    assert browser.get("/session").json()["error"]["code"] == "session_invalid"
    assert client.get("/keys").json()["error"]["code"] == "api_key_invalid"


def test_another_teams_keys_are_not_there(client: TestClient, other_client: TestClient, other_team: TestTeam) -> None:
    assert [each["team"] for each in client.get("/keys").json()["items"]] == ["reds"]
    theirs = client.post(f"/keys/{other_team.key_id}/revoke")
    missing = client.post(f"/keys/key_{'0' * 26}/revoke")
    malformed = client.post("/keys/laptop/revoke")
    assert {answer.status_code for answer in (theirs, missing, malformed)} == {404}
    assert theirs.json() == missing.json() == malformed.json()
    assert theirs.json()["error"]["code"] == "api_key_not_found"
    assert other_client.get("/keys").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "team": "blues"}, "team"),
        ({"name": "x", "team": "reds"}, "team"),
        ({"name": "x", "is_operator": True}, "is_operator"),
    ],
)
def test_teams_and_operators_keys_are_the_operators(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.post("/keys", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "operator_needed")
    assert answer.json()["error"]["field"] == field
    assert len(client.get("/keys").json()["items"]) == 1
    assert client.get("/keys", params={"team": "reds"}).status_code == 403


def test_an_operator_reaches_all_teams(
    app: FastAPI, operator: TestClient, client: TestClient, other_client: TestClient, other_team: TestTeam
) -> None:
    assert [each["team"] for each in operator.get("/keys").json()["items"]] == ["operators"]
    for name in ("blues", other_team.id):
        keys = operator.get("/keys", params={"team": name}).json()["items"]
        assert [(each["id"], each["is_current"]) for each in keys] == [(other_team.key_id, False)]
    made = operator.post("/keys", json={"name": "boss", "team": "blues", "is_operator": True}).json()
    assert (made["key"]["team"], made["key"]["is_operator"]) == ("blues", True)
    boss = make_client(app, made["secret"])
    assert boss.get("/session").json()["is_operator"] is True
    assert operator.get("/keys", params={"team": "greens"}).json()["error"]["code"] == "team_not_found"
    assert operator.post("/keys", json={"name": "x", "team": "greens"}).status_code == 404
    # A team member without an operator's key can't revoke the operator's key of the team.
    refused = other_client.post(f"/keys/{made['key']['id']}/revoke")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "operator_needed")
    assert boss.post(f"/keys/{other_team.key_id}/revoke").status_code == 200
    assert operator.post(f"/keys/{made['key']['id']}/revoke").status_code == 200
    assert boss.get("/jobs").status_code == 401


@pytest.mark.parametrize(
    "body", [{}, {"name": " "}, {"name": "x" * 101}, {"name": "a\x00b"}, {"name": "x", "is_operator": "yes"}, {"x": 1}]
)
def test_a_key_has_a_name(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/keys", json=body).status_code == 422
