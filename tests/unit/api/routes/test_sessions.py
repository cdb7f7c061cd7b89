"""Sessions: logging in, the cookie that replaces the key, and what another site can't make a browser do."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event

from jobs.access.teams import revoke_key
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import ApiKey, Job, LoginCode, WebSession
from jobs.settings import DAY_SECONDS
from tests.unit.conftest import TestTeam

COOKIE = "emotune_session"


def log_in(browser: TestClient, **body: str) -> dict[str, str]:
    """Log in, and return the header that changes need."""
    answer = browser.post("/session", json=body)
    assert answer.status_code == 201
    return {"X-CSRF-Token": answer.json()["csrf_token"]}


def get_code(answer: dict[str, dict[str, str]]) -> str:
    return answer["error"]["code"]


@pytest.fixture
def browser(app: FastAPI, anonymous: TestClient) -> TestClient:
    """A client that keeps its cookies, and has none yet."""
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def csrf(browser: TestClient, team: TestTeam) -> dict[str, str]:
    """Log the browser in as `team`, and return the header that changes need."""
    return log_in(browser, api_key=team.secret)


@pytest.fixture
def statements(database: Database, app: FastAPI, anonymous: TestClient) -> Iterator[list[str]]:
    """The SQL statements that the app executes."""
    found: list[str] = []

    def note(*arguments: object) -> None:
        found.append(str(arguments[2]))

    engine = app.state.services.database.engine
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


def test_a_key_opens_a_session_that_speaks_for_its_team(
    browser: TestClient, team: TestTeam, make_job: Callable[..., Job]
) -> None:
    make_job()
    answer = browser.post("/session", json={"api_key": team.secret})
    assert answer.status_code == 201
    opened = answer.json()
    assert opened["team"] == {"id": team.id, "name": "reds"}
    assert (opened["key"]["id"], opened["key"]["team"], opened["key"]["is_current"]) == (team.key_id, "reds", True)
    assert opened["is_operator"] is opened["key"]["is_operator"] is False
    assert opened["key"]["last_used_at"] is not None
    left = datetime.fromisoformat(opened["expires_at"]) - datetime.now(UTC)
    assert left.total_seconds() == pytest.approx(14 * DAY_SECONDS, abs=60)
    assert browser.get("/session").json() == opened
    assert len(browser.get("/jobs").json()["items"]) == 1


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
def test_the_cookie_is_kept_from_scripts_and_other_sites(
    app: FastAPI, anonymous: TestClient, team: TestTeam, scheme: str, is_secure: bool
) -> None:
    browser = TestClient(app, base_url=f"{scheme}://box")
    cookies = SimpleCookie(browser.post("/session", json={"api_key": team.secret}).headers["Set-Cookie"])
    cookie = cookies[COOKIE]
    assert len(cookie.value) >= 43  # the length of 256 bits in base64
    assert cookie["httponly"] is True
    assert (cookie["samesite"], cookie["path"], cookie["max-age"]) == ("strict", "/", str(14 * DAY_SECONDS))
    assert bool(cookie["secure"]) is is_secure
    assert not cookie["domain"]


def test_the_secrets_are_not_kept(browser: TestClient, csrf: dict[str, str], database: Database) -> None:
    code = browser.post("/login-codes", headers=csrf).json()["code"]
    with database.read() as session:
        kept = {session.query(WebSession).one().sha256, session.query(LoginCode).one().sha256}
    assert {browser.cookies[COOKIE], code}.isdisjoint(kept)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"api_key": "emo_unknown"}, 401, "api_key_invalid"),
        ({"code": "unknown"}, 401, "login_code_invalid"),
        ({}, 422, "request_invalid"),
        ({"api_key": "x", "code": "x"}, 422, "request_invalid"),
        ({"api_key": ""}, 422, "request_invalid"),
        ({"api_key": "x" * 201}, 422, "request_invalid"),
        ({"api_key": None}, 422, "request_invalid"),
        ({"password": "x"}, 422, "request_invalid"),
    ],
)
def test_without_a_valid_secret_there_is_no_session(
    browser: TestClient, body: dict[str, str], status: int, code: str
) -> None:
    answer = browser.post("/session", json=body)
    assert (answer.status_code, get_code(answer.json())) == (status, code)
    assert "Set-Cookie" not in answer.headers
    assert answer.json()["error"]["message"]


def test_a_key_says_who_it_is_too(client: TestClient, team: TestTeam) -> None:
    me = client.get("/session").json()
    assert me["team"]["id"] == team.id
    assert (me["csrf_token"], me["expires_at"]) == (None, None)


def test_a_login_code_opens_one_session_of_its_key(client: TestClient, browser: TestClient, team: TestTeam) -> None:
    made = client.post("/login-codes")
    assert made.status_code == 201
    code = made.json()["code"]
    assert made.json()["path"] == f"/#/login?code={code}"
    left = datetime.fromisoformat(made.json()["expires_at"]) - datetime.now(UTC)
    assert left.total_seconds() == pytest.approx(900, abs=60)
    log_in(browser, code=code)
    assert browser.get("/session").json()["key"]["id"] == team.key_id
    again = browser.post("/session", json={"code": code})
    assert (again.status_code, get_code(again.json())) == (401, "login_code_invalid")


def test_a_login_code_past_its_time_or_of_a_revoked_key_opens_nothing(
    client: TestClient, browser: TestClient, database: Database, team: TestTeam
) -> None:
    codes = [client.post("/login-codes").json()["code"] for _ in range(2)]
    with database.write() as session:
        session.query(LoginCode).update({"expires_at": utc_now()})
    assert browser.post("/session", json={"code": codes[0]}).status_code == 401
    with database.write() as session:
        session.query(LoginCode).update({"expires_at": utc_now() + timedelta(hours=1)})
        revoke_key(session, key_id=team.key_id)
    assert browser.post("/session", json={"code": codes[1]}).status_code == 401


@pytest.mark.parametrize("end", ["revoked", "expired", "logged out"])
def test_a_session_ends(
    browser: TestClient, csrf: dict[str, str], database: Database, team: TestTeam, end: str
) -> None:
    cookie = browser.cookies[COOKIE]
    if end == "logged out":
        answer = browser.delete("/session", headers=csrf)
        assert answer.status_code == 204
        assert SimpleCookie(answer.headers["Set-Cookie"])[COOKIE]["max-age"] == "0"
        assert COOKIE not in browser.cookies
    with database.write() as session:
        if end == "revoked":
            revoke_key(session, key_id=team.key_id)
        if end == "expired":
            session.query(WebSession).update({"expires_at": utc_now()})
    for method, path in (("GET", "/jobs"), ("GET", "/session"), ("POST", "/login-codes"), ("DELETE", "/session")):
        answer = browser.request(method, path, headers={**csrf, "Cookie": f"{COOKIE}={cookie}"})
        assert (answer.status_code, get_code(answer.json())) == (401, "session_invalid")


def test_logging_out_ends_the_session_of_that_browser_alone(
    app: FastAPI, browser: TestClient, csrf: dict[str, str], team: TestTeam
) -> None:
    second = TestClient(app)
    log_in(second, api_key=team.secret)
    browser.delete("/session", headers=csrf)
    assert second.get("/session").status_code == 200


def test_a_key_has_no_session_to_end(client: TestClient, browser: TestClient, csrf: dict[str, str]) -> None:
    assert client.delete("/session").status_code == 204
    assert browser.get("/session").status_code == 200


@pytest.mark.parametrize("token", [None, "", "0" * 64, "\xe9"])
def test_a_change_by_cookie_needs_the_token_of_the_session(
    browser: TestClient,
    csrf: dict[str, str],
    make_job: Callable[..., Job],
    token: str | None,
) -> None:
    job_id = make_job().id
    headers = [] if token is None else [(b"X-CSRF-Token", token.encode("latin-1"))]
    for method, path in (("POST", f"/jobs/{job_id}/cancel"), ("PATCH", f"/jobs/{job_id}"), ("DELETE", "/session")):
        answer = browser.request(method, path, headers=headers, json={"name": "x"} if method == "PATCH" else None)
        assert (answer.status_code, get_code(answer.json())) == (401, "csrf_token_invalid")
    assert browser.get(f"/jobs/{job_id}").json()["status"] == "queued"
    assert browser.post(f"/jobs/{job_id}/cancel", headers=csrf).json()["status"] == "cancelled"


def test_the_token_of_another_session_is_refused(
    app: FastAPI, browser: TestClient, csrf: dict[str, str], team: TestTeam
) -> None:
    other = log_in(TestClient(app), api_key=team.secret)
    assert other != csrf
    assert browser.post("/login-codes", headers=other).status_code == 401


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 201), ("none", 201), ("same-site", 401), ("cross-site", 401), ("", 401)]
)
def test_what_another_site_made_the_browser_send_is_refused(
    browser: TestClient, csrf: dict[str, str], team: TestTeam, site: str, status: int
) -> None:
    fetched = {"Sec-Fetch-Site": site}
    assert browser.post("/login-codes", headers=csrf | fetched).status_code == status
    # Nor can it log the browser in as somebody else.
    assert browser.post("/session", json={"api_key": team.secret}, headers=fetched).status_code == status
    assert browser.get("/jobs", headers=fetched).status_code == 200


def test_a_bearer_key_goes_before_the_cookie(browser: TestClient, csrf: dict[str, str], other_team: TestTeam) -> None:
    headers = other_team.headers | {"Sec-Fetch-Site": "cross-site"}
    assert browser.get("/session", headers=headers).json()["team"]["name"] == "blues"
    assert browser.post("/login-codes", headers=headers).status_code == 201
    refused = browser.get("/session", headers={"Authorization": "Bearer emo_unknown"})
    assert get_code(refused.json()) == "api_key_invalid"


def test_another_schemes_credentials_leave_the_cookie_its_place(browser: TestClient, csrf: dict[str, str]) -> None:
    assert browser.get("/session", headers={"Authorization": "Basic cmVkczpzZWNyZXQ="}).status_code == 200


def test_a_poll_by_cookie_asks_the_database_as_often_as_one_by_key(
    browser: TestClient, csrf: dict[str, str], client: TestClient, statements: list[str], make_job: Callable[..., Job]
) -> None:
    path = f"/jobs/{make_job().id}"
    counts = []
    for asker in (client, browser):
        asker.get(path)
        statements.clear()
        assert asker.get(path).status_code == 200
        counts.append(len([each for each in statements if not each.startswith("BEGIN")]))
    assert counts[0] == counts[1] > 0


def test_a_session_notes_the_use_of_its_key(
    browser: TestClient, csrf: dict[str, str], database: Database, team: TestTeam
) -> None:
    with database.write() as session:
        session.get_one(ApiKey, team.key_id).last_used_at = None
    browser.get("/jobs")
    with database.read() as session:
        assert session.get_one(ApiKey, team.key_id).last_used_at is not None
