"""GET /jobs:overview: rows, places, search, order, pages, and polls that find nothing new."""

import time
from collections.abc import Callable
from inspect import isfunction
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.answers.shared import KEPT_SECONDS
from api.main import ROUTES
from api.schemas.overview import JobRow
from emomodel.protocol.progress import Metric
from jobs.database.engine import Database
from jobs.models import Dataset, Job
from jobs.queue.overview import OverviewSort
from jobs.records import add_event
from jobs.runs import claims, slots, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from tests.unit.conftest import TestTeam, make_dataset


def set_columns(database: Database, job_id: str, **values: Any) -> None:
    with database.write() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


@pytest.fixture
def slot(database: Database) -> str:
    with database.write() as session:
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
    return "slot-0"


@pytest.fixture
def running_job(
    database: Database, make_job: Callable[..., Job], make_metric: Callable[[int], Metric], slot: str
) -> str:
    """A running job with two metrics in its first attempt."""
    job_id = make_job("runs").id
    with database.write() as session:
        claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
        claims.record_metrics(session, job_id=job_id, attempt=1, metrics=[(1, make_metric(1)), (2, make_metric(2))])
    return job_id


def get_names(client: TestClient, **query: Any) -> list[str]:
    response = client.get("/jobs:overview", params=query)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


def test_a_row_shows_how_far_a_job_is(client: TestClient, running_job: str) -> None:
    [row] = client.get("/jobs:overview").json()["items"]
    job = client.get(f"/jobs/{running_job}").json()
    assert set(row) == set(JobRow.model_fields)
    shared = (set(row) & set(job)) - {"error"}
    assert {name: row[name] for name in shared} == {name: job[name] for name in shared}
    assert (row["losses"], row["step"], row["slot"], row["dataset_name"]) == ([1.0, 2.0], 2, "slot-0", "chats")
    assert (row["starts_at"], row["checkpoint_step"], row["error"]) == (None, None, None)


def test_a_row_shows_what_was_asked_of_a_job_and_how_it_failed(
    client: TestClient, database: Database, team: TestTeam, running_job: str
) -> None:
    with database.write() as session:
        stops.request_checkpoint(session, team_id=team.id, job_id=running_job)
        stops.request_pause(session, team_id=team.id, job_id=running_job)
    [row] = client.get("/jobs:overview").json()["items"]
    assert (row["checkpoint_requested"], row["stop_requested"], row["stop_kind"]) == (True, True, "pause")
    with database.write() as session:
        run_ends.fail(session, job_id=running_job, attempt=1, end=RunEnd(1, code="trainer_failed", message="No."))
    [row] = client.get("/jobs:overview").json()["items"]
    assert (row["status"], row["error"]) == ("failed", {"code": "trainer_failed", "message": "No."})
    assert row["losses"] == [1.0, 2.0]


def test_a_job_says_which_key_posted_it(client: TestClient, dataset: Dataset) -> None:
    posted = client.post("/jobs", json={"dataset_id": dataset.id, "base_model": "tiny-gemma"}).json()
    assert posted["posted_by"] == "laptop"
    assert client.get("/jobs").json()["items"][0]["posted_by"] == "laptop"
    assert client.get("/jobs:overview", params={"search": "LAPT"}).json()["items"][0]["posted_by"] == "laptop"


def test_other_teams_jobs_are_never_shown_nor_counted(
    client: TestClient, other_client: TestClient, database: Database, other_team: TestTeam, make_job: Callable[..., Job]
) -> None:
    make_job("mine")
    dataset = make_dataset(database, other_team, "theirs")
    body = {"dataset_id": dataset.id, "base_model": "tiny-gemma", "name": "secret"}
    other_id = other_client.post("/jobs", json=body).json()["id"]
    for query in ({}, {"search": "secret"}, {"search": other_id}, {"status": "queued"}):
        answer = client.get("/jobs:overview", params=query)
        assert "secret" not in answer.text
        assert answer.json()["counts"]["queued"] == 1
    assert client.get("/jobs:overview", params={"search": other_id}).json()["total_count"] == 0
    assert get_names(other_client) == ["secret"]


def test_waiting_jobs_have_place_reason_and_start(
    client: TestClient, database: Database, running_job: str, make_job: Callable[..., Job]
) -> None:
    set_columns(database, running_job, eta_seconds=600.0)
    ids = [make_job(name).id for name in ("first", "second")]
    items = {item["id"]: item for item in client.get("/jobs:overview").json()["items"]}
    for job_id, entry in zip(ids, client.get("/queue").json()["items"], strict=True):
        row, job = items[job_id], client.get(f"/jobs/{job_id}").json()
        assert entry["job"]["id"] == job_id
        assert (row["queue_position"], row["queue_reason"]) == (entry["position"], entry["reason"])
        assert (row["queue_position"], row["queue_reason"]) == (job["queue_position"], job["queue_reason"])
        assert row["starts_at"].endswith(":00Z")
        assert row["starts_at"] >= entry["starts_at"]
    assert [items[job_id]["queue_position"] for job_id in ids] == [1, 2]
    assert items[running_job]["queue_position"] is None


def test_a_held_job_has_a_reason_and_no_place(
    client: TestClient, database: Database, make_job: Callable[..., Job]
) -> None:
    job = make_job()
    set_columns(database, job.id, held_at=job.created_at, hold_reason="odd")
    [row] = client.get("/jobs:overview").json()["items"]
    assert (row["queue_position"], row["starts_at"], row["queue_reason"]["code"]) == (None, None, "held")


def test_without_a_waiting_job_on_the_page_no_board_is_drawn(
    client: TestClient, database: Database, running_job: str, make_job: Callable[..., Job]
) -> None:
    make_job("waits")
    keeper = client.app.state.services.board_keeper  # type: ignore[attr-defined]  # the app that the fixture started
    assert get_names(client, status="running") == ["runs"]
    assert keeper._board is None
    assert get_names(client) == ["waits", "runs"]
    assert keeper._board is not None


def test_status_search_and_counts(client: TestClient, database: Database, make_job: Callable[..., Job]) -> None:
    ids = {name: make_job(name).id for name in ("Warm", "cold 100%", "cold_1", "odd")}
    set_columns(database, ids["Warm"], status="succeeded", posted_by="Robot")
    set_columns(database, ids["odd"], status="failed", base_model="gemma-3-1b", dataset_name="Complaints")
    assert get_names(client, search="wARM") == ["Warm"]
    assert get_names(client, search="robot") == ["Warm"]
    assert get_names(client, search="COMPLAINT") == ["odd"]
    assert get_names(client, search="3-1b") == ["odd"]
    assert get_names(client, search=ids["cold_1"]) == ["cold_1"]
    assert get_names(client, search=ids["cold_1"][:-1]) == []
    set_columns(database, ids["odd"], name="Ärger")
    assert get_names(client, search="ärg") == ["Ärger"]
    set_columns(database, ids["odd"], name="odd")
    # The wildcards of SQL are ordinary characters here.
    assert get_names(client, search="%") == ["cold 100%"]
    assert get_names(client, search="_") == ["cold_1"]
    page = client.get("/jobs:overview", params={"status": ["failed", "queued"], "search": "o", "limit": 1}).json()
    assert [item["name"] for item in page["items"]] == ["odd"]
    assert (page["total_count"], page["next_offset"]) == (3, 1)
    assert page["counts"] == {"queued": 2, "running": 0, "paused": 0, "succeeded": 1, "failed": 1, "cancelled": 0}
    assert client.get("/jobs:overview", params={"status": ["failed", "queued"]}).json()["total_count"] == 3


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("created_at", ["b", "A", "c"]),
        ("-created_at", ["c", "A", "b"]),
        ("name", ["A", "b", "c"]),
        ("-name", ["c", "b", "A"]),
        ("status", ["A", "c", "b"]),
        ("-status", ["b", "c", "A"]),
        # In both directions, jobs without a loss come last.
        ("last_loss", ["c", "b", "A"]),
        ("-last_loss", ["b", "c", "A"]),
        ("started_at", ["b", "c", "A"]),
        ("-started_at", ["c", "b", "A"]),
        ("finished_at", ["b", "A", "c"]),
        ("-finished_at", ["b", "c", "A"]),
    ],
)
def test_orders(
    client: TestClient, database: Database, make_job: Callable[..., Job], sort: str, names: list[str]
) -> None:
    jobs = {name: make_job(name) for name in ("b", "A", "c")}
    started_at = jobs["b"].created_at
    set_columns(database, jobs["b"].id, status="failed", last_loss=2.0, started_at=started_at, finished_at=started_at)
    set_columns(database, jobs["c"].id, status="running", last_loss=1.0, started_at=jobs["c"].created_at)
    assert get_names(client, sort=sort) == names


@pytest.mark.parametrize("sort", OverviewSort)
def test_pages_hold_every_job_once(client: TestClient, make_job: Callable[..., Job], sort: str) -> None:
    ids = {make_job().id for _ in range(5)}
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = client.get("/jobs:overview", params={"offset": offset, "limit": 2, "sort": sort}).json()
        assert page["total_count"] == 5
        seen += [item["id"] for item in page["items"]]
        offset = page["next_offset"]
    assert len(seen) == 5
    assert set(seen) == ids
    assert client.get("/jobs:overview", params={"offset": 99}).json()["next_offset"] is None


@pytest.mark.parametrize(
    "query", [{"state": "queued"}, {"status": "done"}, {"sort": "id"}, {"limit": 201}, {"offset": -1}]
)
def test_what_is_no_such_query_is_refused(client: TestClient, query: dict[str, Any]) -> None:
    response = client.get("/jobs:overview", params=query)
    assert response.status_code == 422
    assert response.json()["error"]["field"].startswith(next(iter(query)))


def test_a_query_s_default_is_made_by_a_plain_function() -> None:
    """The factory's signature is inspected at each request.

    For a type, such as `list`, that takes longer than to read a row.
    """
    fields = [
        field
        for module in ROUTES
        for route in module.router.routes
        if isinstance(route, APIRoute)
        for field in route.dependant.query_params
    ]
    made = [field for field in fields if field.field_info.default_factory is not None]
    assert "status" in [field.name for field in made]
    assert [field.name for field in made if not isfunction(field.field_info.default_factory)] == []


def test_a_key_is_needed(anonymous: TestClient) -> None:
    assert anonymous.get("/jobs:overview").status_code == 401


def test_a_poll_that_finds_nothing_new_is_304(
    client: TestClient, database: Database, running_job: str, make_job: Callable[..., Job]
) -> None:
    make_job("waits")
    first = client.get("/jobs:overview")
    assert first.headers["Cache-Control"] == "private, no-cache"
    known = {"If-None-Match": first.headers["ETag"]}
    again = client.get("/jobs:overview", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["ETag"], again.headers["Cache-Control"]) == (first.headers["ETag"], "private, no-cache")
    # Another query has another tag, and a change that the list does not show leaves the tag as it is.
    assert client.get("/jobs:overview", params={"offset": 1}, headers=known).status_code == 200
    set_columns(database, running_job, heartbeat_at=None)
    with database.write() as session:
        add_event(session, job_id=running_job, attempt=1, kind="notice", message="Nothing that a row shows.")
    assert client.get("/jobs:overview", headers=known).status_code == 304


def test_what_happens_to_a_job_is_seen_at_once(
    client: TestClient, database: Database, team: TestTeam, running_job: str, make_job: Callable[..., Job]
) -> None:
    def rename() -> None:
        assert client.patch(f"/jobs/{running_job}", json={"name": "other"}).status_code == 200

    def prioritise() -> None:
        assert client.patch(f"/jobs/{running_job}", json={"priority": 7}).status_code == 200

    def record_phase() -> None:
        with database.write() as session:
            claims.record_phase(session, job_id=running_job, attempt=1, phase="loading", message="Loading.")

    known: dict[str, str] = {}
    for change in (rename, prioritise, record_phase, lambda: make_job("new"), lambda: make_job("newer")):
        change()
        seen = client.get("/jobs:overview", headers=known)
        assert seen.status_code == 200
        known = {"If-None-Match": seen.headers["ETag"]}
        assert client.get("/jobs:overview", headers=known).status_code == 304
    rows = {row["id"]: row for row in seen.json()["items"]}
    assert (rows[running_job]["name"], rows[running_job]["priority"]) == ("other", 7)
    assert seen.json()["counts"]["queued"] == 2


def test_how_far_a_job_is_may_be_a_second_old(
    client: TestClient, other_client: TestClient, database: Database, running_job: str
) -> None:
    first = client.get("/jobs:overview").json()
    set_columns(database, running_job, step=3, loss_trace={"stride": 1, "losses": [9.0]})
    assert client.get("/jobs:overview").json() == first
    assert other_client.get("/jobs:overview").json()["items"] == []
    # Another query is another answer.
    assert client.get("/jobs:overview", params={"limit": 1}).json()["items"][0]["step"] == 3
    time.sleep(KEPT_SECONDS)
    [row] = client.get("/jobs:overview").json()["items"]
    assert (row["step"], row["losses"]) == (3, [9.0])
