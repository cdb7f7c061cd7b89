"""Cancelling, pausing, resuming and changing jobs over HTTP."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from jobs.database.engine import Database
from jobs.models import Job
from jobs.runs import claims
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd


def test_cancelling_a_waiting_job_ends_it(client: TestClient, make_job: Callable[..., Job]) -> None:
    job_id = make_job().id
    first = client.post(f"/jobs/{job_id}/cancel")
    assert (first.status_code, first.json()["status"]) == (200, "cancelled")
    assert client.post(f"/jobs/{job_id}/cancel").json() == first.json()


def test_cancelling_a_running_job_asks_it_to_stop(
    client: TestClient, database: Database, make_job: Callable[..., Job]
) -> None:
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    job = client.post(f"/jobs/{job_id}/cancel").json()
    assert (job["status"], job["stop_requested"]) == ("running", True)


def test_cancelling_a_job_that_failed_is_a_conflict(
    client: TestClient, database: Database, make_job: Callable[..., Job]
) -> None:
    job_id = make_job().id
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        run_ends.fail(session, job_id=job_id, attempt=1, end=RunEnd(1, "x", "x"))
    response = client.post(f"/jobs/{job_id}/cancel")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "job_finished")


def test_a_job_is_paused_resumed_saved_and_changed(
    client: TestClient, database: Database, make_job: Callable[..., Job]
) -> None:
    job_id = make_job().id
    assert client.post(f"/jobs/{job_id}/checkpoint").json()["error"]["code"] == "job_not_running"
    assert client.post(f"/jobs/{job_id}/pause").json()["status"] == "paused"
    assert client.post(f"/jobs/{job_id}/resume").json()["status"] == "queued"
    changed = client.patch(f"/jobs/{job_id}", json={"priority": 5.0, "name": "other"}).json()
    assert (changed["priority"], changed["name"]) == (5, "other")
    for wrong in ({"priority": 101}, {"priority": True}, {"name": ""}, {"status": "failed"}):
        assert client.patch(f"/jobs/{job_id}", json=wrong).status_code == 422
    with database.write() as session:
        claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
    saved = client.post(f"/jobs/{job_id}/checkpoint")
    assert (saved.status_code, saved.json()["checkpoint_requested"]) == (202, True)
    paused = client.post(f"/jobs/{job_id}/pause").json()
    assert (paused["status"], paused["stop_requested"], paused["stop_kind"]) == ("running", True, "pause")
    (run,) = client.get(f"/jobs/{job_id}/runs").json()["items"]
    assert (run["attempt"], run["slot"], run["ended_at"], run["cause"]) == (1, "slot-0", None, None)
