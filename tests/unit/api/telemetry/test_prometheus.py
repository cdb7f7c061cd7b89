"""What Prometheus scrapes: every number is that of the rows, and nobody reads other teams' without leave."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from api.main import create_app
from jobs import records
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.models import Job, Run, Slot, Team
from jobs.runs import claims, slots
from jobs.runs import ends as run_ends
from jobs.runs import operator as operators
from jobs.runs.ends import RunEnd
from jobs.settings import Settings
from jobs.telemetry.census import CLOCK_MARGIN_SECONDS, MAX_TEAMS, OTHERS, CensusKeeper
from tests.unit.conftest import TestTeam

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(client: TestClient) -> Samples:
    response = client.get("/metrics")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = list(text_string_to_metric_families(response.text))
    assert len({family.name for family in families}) == len(families)
    assert all(family.documentation for family in families)
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "each series is reported once"
    return found


def read(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((f"emotune_{name}", frozenset(labels.items())))


def scrape_anew(settings: Settings) -> Samples:
    """From a process that has just started, as after a restart of the API."""
    with TestClient(create_app(settings.model_copy(update={"metrics_public": True}))) as client:
        return scrape(client)


def claim(database: Database, slot: str = "slot-0") -> Job:
    with database.write() as session:
        job = claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
        assert job is not None
        return job


def test_jobs_waits_and_runs_are_told_by_team(
    operator: TestClient, database: Database, make_job: Callable[..., Job], team: TestTeam, other_team: TestTeam
) -> None:
    _waiting, held, crashed, failed, running = (make_job(name) for name in "abcde")
    now = utc_now()
    with database.write() as session:
        session.execute(update(Job).values(created_at=now - timedelta(seconds=100)))
        session.execute(update(Job).where(Job.id == held.id).values(created_at=now - timedelta(days=9)))
        operators.hold_job(session, job_id=held.id, reason="review")
        for rank, job in enumerate((crashed, failed, running)):
            session.execute(update(Job).where(Job.id == job.id).values(pinned_rank=rank))
    end = RunEnd(1, "cuda_out_of_memory", "full")
    for job in (crashed, failed):
        assert claim(database).id == job.id
        with database.write() as session:
            began = utc_now() - timedelta(seconds=50)
            session.execute(update(Run).where(Run.job_id == job.id).values(started_at=began))
            if job is failed:
                run_ends.fail(session, job_id=job.id, attempt=1, end=end)
            else:
                run_ends.crash(session, job_id=job.id, attempt=1, end=end, max_crashes=3)
                session.execute(update(Job).where(Job.id == job.id).values(pinned_rank=9))
    assert claim(database).id == running.id
    before = utc_now()
    with database.write() as session:
        session.execute(
            update(Run).where(Run.job_id == running.id).values(started_at=before - timedelta(seconds=30), slot_size=2.0)
        )
    samples = scrape(operator)

    by_status = {
        status: read(samples, "jobs", team="reds", status=status) for status in ("queued", "running", "failed")
    }
    assert by_status == {"queued": 3, "running": 1, "failed": 1}
    assert read(samples, "jobs", team="blues", status="queued") == 0
    assert read(samples, "queue_jobs", team="reds", state="waiting") == 2
    assert read(samples, "queue_jobs", team="reds", state="held") == 1
    assert 100 <= (read(samples, "queue_oldest_wait_seconds", team="reds") or 0) < 200
    assert read(samples, "queue_oldest_wait_seconds", team="blues") == 0
    # Two ended runs of 50 s, and one that has run for 30 s on a slot of size 2.
    expected = 100 + 2 * (30 - CLOCK_MARGIN_SECONDS)
    assert expected <= (read(samples, "slot_seconds_total", team="reds") or 0) < expected + 20
    assert read(samples, "slot_seconds_total", team="blues") == 0
    assert read(samples, "job_failures_total", code="cuda_out_of_memory") == 1
    assert read(samples, "run_failures_total", code="cuda_out_of_memory") == 2
    assert read(samples, "run_failures_total", code="worker_lost") == 0
    assert read(samples, "stale_runs") == 0


def test_what_a_team_has_used_never_falls_when_a_run_ends_by_a_clock_that_is_behind(
    settings: Settings, database: Database, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job()
    claim(database)
    with database.write() as session:
        session.execute(update(Run).values(started_at=utc_now() - timedelta(seconds=60)))
    running = read(scrape_anew(settings), "slot_seconds_total", team="reds") or 0
    behind = utc_now() - timedelta(seconds=CLOCK_MARGIN_SECONDS - 1)
    monkeypatch.setattr("jobs.runs.ends.utc_now", lambda: behind)
    with database.write() as session:
        run_ends.fail(session, job_id=job.id, attempt=1, end=RunEnd(1, "a_code_of_a_later_release", "?"))
    samples = scrape_anew(settings)
    assert (read(samples, "slot_seconds_total", team="reds") or 0) >= running > 0
    assert read(samples, "job_failures_total", code=OTHERS) == 1


def test_slots_are_told_with_what_runs_there_and_old_readings_are_not(
    operator: TestClient, database: Database, make_job: Callable[..., Job]
) -> None:
    make_job()
    claim(database, "gpu-0")
    with database.write() as session:
        session.execute(update(Job).values(tokens_per_second=1234.5, lease_expires_at=utc_now() - timedelta(seconds=1)))
        for name in ("gpu-0", "gpu-1", "gpu-2", "gone"):
            slots.note_slot(
                session,
                name=name,
                device="cuda",
                host="box",
                memory_bytes=100,
                memory_used_bytes=40,
                gpu_name="H100",
                utilization_percent=50.0,
                temperature_celsius=60.0,
                power_watts=300.0,
                blocked_reason="somebody computes" if name == "gpu-1" else None,
            )
        slots.drain_slot(session, name="gpu-1", seen_within_seconds=30)
        session.execute(update(Slot).where(Slot.name == "gpu-2").values(seen_at=utc_now() - timedelta(hours=1)))
        session.execute(update(Slot).where(Slot.name == "gone").values(seen_at=utc_now() - timedelta(days=8)))
    samples = scrape(operator)

    assert read(samples, "slot_info", slot="gpu-0", host="box", device="cuda", gpu="H100") == 1
    shown = {
        slot: [
            name
            for name in ("idle", "running", "drained", "away")
            if read(samples, "slot_status", slot=slot, status=name)
        ]
        for slot in ("gpu-0", "gpu-1", "gpu-2", "gone")
    }
    assert shown == {"gpu-0": ["running"], "gpu-1": ["drained"], "gpu-2": ["away"], "gone": []}
    assert read(samples, "slot_status", slot="gpu-0", status="idle") == 0
    assert read(samples, "job_tokens_per_second", slot="gpu-0") == 1234.5
    assert read(samples, "job_tokens_per_second", slot="gpu-1") is None
    assert read(samples, "slot_utilization_ratio", slot="gpu-0") == 0.5
    assert [read(samples, f"slot_{name}", slot="gpu-1") for name in ("power_watts", "temperature_celsius")] == [300, 60]
    assert [read(samples, f"slot_memory_{name}", slot="gpu-2") for name in ("bytes", "used_bytes")] == [100, None]
    assert [read(samples, "slot_drained", slot=slot) for slot in ("gpu-0", "gpu-1")] == [0, 1]
    assert 3600 <= (read(samples, "slot_seen_age_seconds", slot="gpu-2") or 0) < 3700
    assert read(samples, "stale_runs") == 1


def test_disk_and_release_are_told(operator: TestClient) -> None:
    samples = scrape(operator)
    free, size = read(samples, "data_disk_free_bytes") or 0, read(samples, "data_disk_size_bytes") or 0
    assert 0 < free <= size
    assert read(samples, "data_disk_needed_bytes") == 0
    assert any(name == "emotune_build_info" for name, _ in samples)
    assert samples["process_resident_memory_bytes", frozenset()] > 0


def test_requests_are_counted_by_the_form_of_their_path(operator: TestClient) -> None:
    for number in range(3):
        operator.get(f"/jobs/job_{number:026}")
    operator.get("/health/live")
    operator.get("/no/such/path")
    operator.get("/nor/this/one")
    operator.request("BREW", "/jobs")
    samples = scrape(operator)
    counted = {
        key: read(samples, "http_requests_total", method=key[0], route=key[1], status=key[2])
        for key in (
            ("GET", "/jobs/{job_id}", "4xx"),
            ("GET", "/health/live", "2xx"),
            ("GET", "other", "4xx"),
            ("other", "/jobs", "4xx"),
        )
    }
    assert list(counted.values()) == [3, 1, 2, 1]
    labels = {"method": "GET", "route": "/jobs/{job_id}", "status": "4xx"}
    assert read(samples, "http_request_duration_seconds_count", **labels) == 3
    assert 0 < (read(samples, "http_request_duration_seconds_sum", **labels) or 0) < 30
    assert "such" not in str(samples.keys())
    assert not any(name.endswith("_created") for name, _ in samples)


def test_a_fault_of_the_service_is_counted_once(operator: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(records, "get_job", break_down)
    assert operator.get(f"/jobs/job_{0:026}").status_code == 500
    samples = scrape(operator)
    assert read(samples, "http_requests_total", method="GET", route="/jobs/{job_id}", status="5xx") == 1


def test_a_scrape_needs_an_operators_key(anonymous: TestClient, client: TestClient, other_team: TestTeam) -> None:
    for asking, status, code in ((anonymous, 401, "api_key_invalid"), (client, 403, "operator_needed")):
        answer = asking.get("/metrics")
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert other_team.name not in answer.text


def test_public_numbers_need_no_key(settings: Settings, team: TestTeam, other_team: TestTeam) -> None:
    app = create_app(settings.model_copy(update={"metrics_public": True}))
    with TestClient(app) as nobody:
        samples = scrape(nobody)
        # A proxy may send a key of its own: what is public is not refused for it.
        assert nobody.get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 200
    for name in ("reds", "blues"):
        assert read(samples, "jobs", team=name, status="queued") == 0


def test_the_youngest_of_very_many_teams_share_a_label(operator: TestClient, database: Database) -> None:
    with database.write() as session:
        session.add_all([Team(id=f"team_z{number:025}", name=f"team {number}") for number in range(MAX_TEAMS + 3)])
    samples = scrape(operator)
    teams = {dict(labels)["team"] for name, labels in samples if name == "emotune_slot_seconds_total"}
    assert len(teams) == MAX_TEAMS + 1
    assert OTHERS in teams
    assert "operators" in teams


def test_two_apps_of_a_process_count_for_themselves(settings: Settings) -> None:
    public = settings.model_copy(update={"metrics_public": True})
    with TestClient(create_app(public)) as one, TestClient(create_app(public)) as other:
        one.get("/health/live")
        labels = {"method": "GET", "route": "/health/live", "status": "2xx"}
        assert read(scrape(one), "http_requests_total", **labels) == 1
        assert read(scrape(other), "http_requests_total", **labels) is None


def test_a_costly_census_is_kept_for_a_moment(
    database: Database, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = CensusKeeper(database, seen_within_seconds=30)
    monkeypatch.setattr("jobs.telemetry.census.COST_FACTOR", 1e6)
    first = keeper.get_census()
    make_job()
    assert keeper.get_census() is first
    monkeypatch.setattr("jobs.telemetry.census.COST_FACTOR", 0)
    fresh = CensusKeeper(database, seen_within_seconds=30)
    fresh.get_census()
    make_job()
    assert fresh.get_census().teams[0].waiting_count == 2
