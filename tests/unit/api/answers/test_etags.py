"""Polls: an ETag of the content, 304 for a client that already has it, and 200 again after a change."""

import os
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.answers import etags
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.models import Artifact, Job, Run
from jobs.records import add_event
from jobs.runs import claims, slots
from jobs.settings import Settings
from tests.unit.conftest import TestTeam


@pytest.fixture
def running_job(database: Database, make_job: Callable[..., Job]) -> str:
    """Return the id of a job that runs on a slot; a second job waits behind it."""
    job_id = make_job("runs").id
    make_job("waits")
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    return job_id


def change_all(database: Database, settings: Settings, job_id: str) -> None:
    """Change something that every list shows."""
    artifact = Artifact(
        job_id=job_id, kind="log", filename="log-1.txt", media_type="text/plain", size_bytes=1, sha256="0" * 64
    )
    with database.write() as session:
        session.execute(update(Job).values(name="renamed"))
        session.execute(update(Run).values(exit_code=3))
        session.add(artifact)
        add_event(session, job_id=job_id, attempt=1, kind="renamed", message="Its name is renamed now.")
    path = Storage(settings.data_dir).get_run_folder(job_id, 1) / "log.txt"
    path.parent.mkdir(parents=True)
    path.write_text("begun\n")


@pytest.mark.parametrize(
    "path",
    [
        "/jobs:overview",
        "/jobs",
        "/jobs/{job_id}",
        "/jobs/{job_id}/runs",
        "/jobs/{job_id}/artifacts",
        "/jobs/{job_id}/logs",
        "/jobs/{job_id}/logs?tail=5",
        "/queue",
        "/slots",
    ],
)
def test_a_poll_is_304_until_something_has_changed(
    client: TestClient, other_client: TestClient, database: Database, settings: Settings, running_job: str, path: str
) -> None:
    path = path.format(job_id=running_job)
    first = client.get(path)
    known = first.headers["ETag"]
    for sent in (known, f"W/{known}", f'"other", {known}', "*"):
        again = client.get(path, headers={"If-None-Match": sent})
        assert (again.status_code, again.content) == (304, b"")
        for answer in (first, again):
            assert (answer.headers["ETag"], answer.headers["Cache-Control"]) == (known, "private, no-cache")
    assert client.get(path, headers={"If-None-Match": '"other"'}).text == first.text
    # A tag does not help callers who may not see the content either.
    assert other_client.get(path, headers={"If-None-Match": known}).status_code in (200, 404)
    change_all(database, settings, running_job)
    changed = client.get(path, headers={"If-None-Match": known})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != known
    assert changed.text != first.text


def test_a_waiting_job_that_gets_another_place_has_another_tag(
    client: TestClient, team: TestTeam, running_job: str, make_job: Callable[..., Job]
) -> None:
    waiting = make_job("last").id
    paths = (f"/jobs/{waiting}", "/jobs:overview?search=last")
    known = [client.get(path).headers["ETag"] for path in paths]
    make_job("first", priority=5)
    for path, tag in zip(paths, known, strict=True):
        answer = client.get(path, headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert '"queue_position":3' in answer.text


def test_a_log_that_grows_has_another_tag(
    client: TestClient, settings: Settings, database: Database, running_job: str
) -> None:
    change_all(database, settings, running_job)
    path = Storage(settings.data_dir).get_run_folder(running_job, 1) / "log.txt"
    url = f"/jobs/{running_job}/logs"
    known = client.get(url).headers["ETag"]
    assert client.get(url, headers={"If-None-Match": known}).status_code == 304
    # Another part of the log is another answer.
    assert client.get(f"{url}?tail=1", headers={"If-None-Match": known}).status_code == 200
    with path.open("a") as stream:
        stream.write("more\n")
    grown = client.get(url, headers={"If-None-Match": known})
    assert (grown.status_code, grown.text) == (200, "begun\nmore\n")
    os.utime(path, (1, 1))
    assert client.get(url, headers={"If-None-Match": grown.headers["ETag"]}).status_code == 200


def test_what_is_not_polled_is_not_kept(client: TestClient, running_job: str) -> None:
    for path in ("/team", f"/jobs/{running_job}/metrics", "/models"):
        assert client.get(path).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("header", "is_match"),
    [("", False), ("*", True), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"b"', False), ("a", False)],
)
def test_tags_are_compared_weakly(header: str, is_match: bool) -> None:
    assert etags.matches(header, '"a"') is is_match
