"""One table, one body, one id: what all errors have in common."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api.errors import STATUSES, get_status
from jobs import errors
from jobs.database.engine import Database
from jobs.errors import EmotuneError, RunFenced
from jobs.settings import Settings

# No request can cause these errors.
INTERNAL = {EmotuneError, RunFenced}


def list_errors(root: type[EmotuneError] = EmotuneError) -> list[type[EmotuneError]]:
    """List the errors of the tree in jobs/errors.py.

    Those that other modules add to it are for operators, not for callers.
    """
    children = [child for child in root.__subclasses__() if child.__module__ == "jobs.errors"]
    return [root, *(error for child in children for error in list_errors(child))]


@pytest.mark.parametrize("error", list_errors(), ids=lambda error: error.__name__)
def test_every_domain_error_has_a_status(error: type[EmotuneError]) -> None:
    status = get_status(error.__new__(error))
    assert (status is HTTPStatus.INTERNAL_SERVER_ERROR) == (error in INTERNAL)


def test_every_error_is_drawn_in_the_tree_and_has_its_own_code() -> None:
    drawn = [line.rsplit(" ", 1)[-1] for line in (errors.__doc__ or "").splitlines() if "──" in line]
    known = list_errors()
    assert sorted(drawn) == sorted(error.__name__ for error in known[1:])
    assert len({error.code for error in known}) == len(known)
    assert set(STATUSES) <= set(known)


class BrokenDatabase(Database):
    """A database that fails with an error that no handler expects."""

    @contextmanager
    def read(self) -> Iterator[Session]:
        raise RuntimeError("secret detail")
        yield Session()


def test_an_unforeseen_error_shows_nothing_but_its_id(
    app: FastAPI, client: TestClient, settings: Settings, logs: list[dict[str, Any]]
) -> None:
    app.state.services = dataclasses.replace(app.state.services, database=BrokenDatabase(settings.sqlalchemy_url))
    response = client.get("/jobs", headers={"X-Request-ID": "mine-1"})
    assert response.status_code == 500
    error = response.json()["error"]
    assert error["code"] == "internal_error"
    assert "mine-1" in error["message"]
    assert "secret detail" not in response.text
    (entry,) = [entry for entry in logs if entry["event"] == "request_failed"]
    assert entry["request_id"] == "mine-1"
    assert entry["exc_info"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/jobs/", 404, "not_found"),
        ("PUT", "/jobs", 405, "method_not_allowed"),
    ],
)
def test_what_no_route_takes_has_the_same_body(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.json()["error"]["code"] == code
    assert "GET /openapi.json" in response.json()["error"]["message"]
    assert set(response.json()["error"]) == {"code", "message", "field"}


def test_a_wrong_method_is_refused_with_the_right_ones(client: TestClient) -> None:
    assert client.put("/health/live").headers["Allow"] == "GET"


@pytest.mark.parametrize("path", ["/health/live", "/team", "/nothing", "/jobs/x"])
def test_every_answer_has_an_id_and_the_headers_of_an_api(client: TestClient, path: str) -> None:
    first, second = client.get(path), client.get(path)
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert first.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 101, False), ("", False)])
def test_a_clients_own_id_is_kept_if_it_is_harmless(client: TestClient, given: str, kept: bool) -> None:
    answered = client.get("/health/live", headers={"X-Request-ID": given}).headers["X-Request-ID"]
    assert (answered == given) == kept


def test_writes_are_logged_with_their_id_and_reads_are_not(client: TestClient, logs: list[dict[str, Any]]) -> None:
    client.get("/jobs")
    response = client.post("/jobs", json={})
    (entry,) = [entry for entry in logs if entry["event"] == "request"]
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/jobs", 422)
    assert entry["request_id"] == response.headers["X-Request-ID"]


def test_a_misspelt_parameter_is_not_passed_over(client: TestClient) -> None:
    response = client.get("/jobs?limt=5")
    assert response.status_code == 422
    assert response.json()["error"]["message"] == "`limt` is not a known parameter; did you mean `limit`?"
