"""`emotune doctor`: the finding of each check for a sound installation, and for each thing that can be wrong."""

import json
import sqlite3
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from fastapi.testclient import TestClient
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from sqlalchemy import text, update

from api.main import create_app
from cli.doctor import broker, examination, machine, rows, service
from cli.doctor.findings import Finding, Health, fail, get_worst, ok, warn
from emomodel.train_extra import INSTALL_LINE
from jobs.base_models.base_model import ListedModel
from jobs.base_models.library import ModelLibrary
from jobs.clock import utc_now
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.models import Dataset, Job, Slot
from jobs.runs import claims, slots
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.settings import Settings
from tests.support.gpus import IDLE_GPU, DeviceDouble
from tests.support.posting import post_job
from tests.support.tiny_tokenizer import write_tiny_tokenizer
from tests.unit.conftest import TestTeam

# This is the oldest revision in migrations/versions.
FIRST_REVISION = "439641e491cb"


class RedisDouble:
    """Imitates as much of Redis as the checks use. Where `save` is None, the command CONFIG is refused."""

    def __init__(self, save: str | None = "", **info: Any) -> None:
        self._save = save
        self._info = info

    def as_client(self) -> Redis:
        return cast("Redis", self)

    def ping(self) -> bool:
        if self._info.get("is_away"):
            raise RedisConnectionError("nobody is there")
        return True

    def info(self, _section: str) -> dict[str, Any]:
        return self._info

    def config_get(self, name: str) -> dict[str, str]:
        if self._save is None:
            raise ResponseError("unknown command 'CONFIG'")
        return {name: self._save}


@pytest.fixture
def model(tmp_path: Path) -> ListedModel:
    folder = write_tiny_tokenizer(tmp_path / "model")
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return ListedModel("tiny", str(folder))


@pytest.fixture
def running(database: Database, dataset: Dataset) -> str:
    """A job that runs on slot-0; the fixture is the job's id."""
    with database.write() as session:
        post_job(session, dataset, name="warm")
        job = claims.claim_next(session, slot="slot-0", device="cpu", lease_seconds=60)
        assert job is not None
        return job.id


def describe(finding: Finding) -> tuple[Health, str]:
    return finding.health, f"{finding.message} {finding.advice}"


def test_the_data_folder_is_there_private_and_ours(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert machine.check_data_folder(folder).health is Health.FAILED
    folder.mkdir(mode=0o700)
    assert machine.check_data_folder(folder).health is Health.OK
    assert list(folder.iterdir()) == [], "a check leaves no file"
    folder.chmod(0o755)
    health, said = describe(machine.check_data_folder(folder))
    assert (health, f"chmod 700 {folder}" in said, "755" in said) == (Health.WARNING, True, True)
    assert machine.check_data_folder(Path("/proc/self")).health is Health.FAILED
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_the_disk_is_compared_with_the_bound(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    free = storage.get_free_bytes()
    found = [machine.check_disk(storage, needed_bytes=needed).health for needed in (0, int(free * 0.7), free * 2)]
    assert found == [Health.OK, Health.WARNING, Health.FAILED]


def test_a_base_model_needs_config_weights_and_a_tokenizer(model: ListedModel, tmp_path: Path) -> None:
    assert machine.check_base_model(model, is_available=True).health is Health.OK
    assert machine.check_base_model(ListedModel("hub", "google/gemma-3-1b-it"), is_available=True).health is Health.OK
    assert [each.health for each in machine.check_base_models(ModelLibrary({}, Storage(tmp_path)))] == [Health.WARNING]
    folder = Path(model.path)
    for name, said in (("model.safetensors", "no weights"), ("tokenizer.json", "tokenizer"), ("config.json", "config")):
        (folder / name).unlink()
        finding = machine.check_base_model(model, is_available=model.is_available)
        assert (finding.health, said in finding.message) == (Health.FAILED, True), finding
        assert "EMOTUNE_BASE_MODELS" in (finding.advice or "")


def test_a_gpu_is_asked_through_nvml() -> None:
    device = DeviceDouble()
    assert "EMOTUNE_SLOT_DEVICE" in machine.check_gpu(device).message
    device.reading = IDLE_GPU
    assert describe(machine.check_gpu(device))[1].startswith("NVIDIA Test 100: 0.0 of 80.0 GiB")
    device.failure = "GPU 0 can't be read: Driver Not Loaded."
    health, said = describe(machine.check_gpu(device))
    assert (health, "Driver Not Loaded" in said, "nvidia-smi" in said) == (Health.FAILED, True, True)


def test_a_sqlite_file_is_in_wal_mode_and_on_a_local_disk(settings: Settings, tmp_path: Path) -> None:
    path = settings.data_dir / "emotune.db"
    assert machine.check_sqlite(path).health is Health.OK
    mounts = [("/", "ext4"), (str(settings.data_dir), "ext4"), (str(settings.data_dir), "nfs4")]
    health, said = describe(machine.check_sqlite(path, mounts))
    assert (health, "nfs4" in said) == (Health.FAILED, True)
    assert machine.check_sqlite(path, [("/", "ext4"), ("/elsewhere", "nfs4")]).health is Health.OK

    connection = sqlite3.connect(tmp_path / "other.db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert machine.check_sqlite(tmp_path / "other.db").health is Health.WARNING
    (tmp_path / "text.db").write_text("hello")
    for name in ("text.db", "missing.db"):
        assert machine.check_sqlite(tmp_path / name).health is Health.FAILED
    assert not (tmp_path / "missing.db").exists()


def test_the_schema_is_that_of_the_release_or_older_or_newer(database: Database) -> None:
    assert rows.check_schema(database).health is Health.OK
    for revision, said in ((None, "no tables"), (FIRST_REVISION, "older"), ("a_later_one", "can't work")):
        health, text_said = describe(rows.judge_revision(revision, "This release can't work with it."))
        assert (health, said in text_said) == (Health.FAILED, True)
    finding = rows.judge_revision("a_later_one", None)
    assert (finding.health, "a_later_one" in finding.message) == (Health.WARNING, True)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :first"), {"first": FIRST_REVISION})
    assert "emotune migrate" in (rows.check_schema(database).advice or "")


def test_an_unreachable_database_is_reported_with_its_own_message() -> None:
    health, said = describe(rows.check_database(Database("postgresql+psycopg://127.0.0.1:9/x")))
    assert (health, "connection failed" in said, "EMOTUNE_DATABASE_URL" in said) == (Health.FAILED, True, True)


def test_clocks_may_differ_by_seconds(database: Database) -> None:
    assert rows.check_clock(database).health is Health.OK
    judged = [rows.judge_clock(seconds) for seconds in (0.2, -4.0, 30.0, -30.0)]
    assert [each.health for each in judged] == [Health.OK, Health.OK, Health.FAILED, Health.FAILED]
    assert ("30.0 s ahead of" in judged[2].message, "30.0 s behind" in judged[3].message) == (True, True)


def test_each_slot_that_takes_no_jobs_is_reported(database: Database) -> None:
    now = utc_now()
    with database.read() as session:
        (summary,) = rows.check_slots(slots.list_slots(session, seen_within_seconds=30), now=now)
    assert summary.health is Health.FAILED
    with database.write() as session:
        for name in ("able", "gone", "drained", "blocked", "ahead"):
            reason = "somebody computes" if name == "blocked" else None
            slots.note_slot(session, name=name, device="cuda", host="box-b", blocked_reason=reason)
        slots.drain_slot(session, name="drained", seen_within_seconds=30)
        session.execute(update(Slot).where(Slot.name == "gone").values(seen_at=now - timedelta(hours=1)))
        session.execute(update(Slot).where(Slot.name == "ahead").values(seen_at=now + timedelta(minutes=1)))
    with database.read() as session:
        findings = rows.check_slots(slots.list_slots(session, seen_within_seconds=30), now=now)
    found = {finding.check: finding for finding in findings}
    assert {check: finding.health for check, finding in found.items()} == {
        "slots": Health.OK,
        "slot gone": Health.WARNING,
        "slot drained": Health.WARNING,
        "slot blocked": Health.WARNING,
        "slot ahead": Health.FAILED,
    }
    assert "somebody computes" in found["slot blocked"].message
    assert "slots resume drained" in (found["slot drained"].advice or "")
    assert "NTP" in (found["slot ahead"].advice or "")


def test_a_slot_that_lacks_packages_has_failed_until_somebody_installs_them(database: Database) -> None:
    reason = f"This worker can't train, as peft is not installed: {INSTALL_LINE}."
    with database.write() as session:
        slots.note_slot(session, name="light", device="cpu", host="box-b", blocked_reason=reason)
    with database.read() as session:
        summary, found = rows.check_slots(slots.list_slots(session, seen_within_seconds=30), now=utc_now())
    assert summary.health is Health.FAILED
    assert (found.check, found.health, found.message) == ("slot light", Health.FAILED, reason)
    assert "box-b" in (found.advice or "")


def test_a_slot_whose_worker_is_of_another_release_is_reported(database: Database) -> None:
    with database.write() as session:
        for name in ("same", "other", "silent", "gone"):
            slots.note_slot(session, name=name, device="cuda", host="box-b")
        for name, values in (
            ("other", {"emotune_version": "0.0.9"}),
            ("silent", {"emotune_version": None}),
            ("gone", {"emotune_version": "0.0.9", "seen_at": utc_now() - timedelta(hours=1)}),
        ):
            session.execute(update(Slot).where(Slot.name == name).values(values))
    with database.read() as session:
        findings = rows.check_slots(slots.list_slots(session, seen_within_seconds=30), now=utc_now())
    told = {finding.check: finding.message for finding in findings if finding.check.endswith(" release")}
    assert list(told) == ["slot other release", "slot silent release"]
    assert "0.0.9" in told["slot other release"]


def test_a_dead_run_that_nobody_ends_is_reported(database: Database, running: str) -> None:
    now = utc_now()
    for late, health in ((-1, Health.OK), (10, Health.OK), (31, Health.FAILED)):
        with database.write() as session:
            session.execute(update(Job).values(lease_expires_at=now - timedelta(seconds=late)))
            finding = rows.check_leases(session, sweep_seconds=5, now=now)
        assert finding.health is health
    assert running in finding.message


def test_failures_of_the_last_day_are_counted_by_code(database: Database, running: str) -> None:
    now = utc_now()
    with database.write() as session:
        assert rows.check_failures(session, now=now).health is Health.OK
        run_ends.fail(session, job_id=running, attempt=1, end=RunEnd(1, "worker_lost", "gone"))
    with database.read() as session:
        health, said = describe(rows.check_failures(session, now=utc_now()))
        later = rows.check_failures(session, now=now + timedelta(days=2))
    assert (health, "worker_lost (1)" in said, "machine" in said) == (Health.WARNING, True, True)
    assert later.health is Health.OK


@pytest.mark.parametrize(
    ("redis", "expected"),
    [
        (RedisDouble(maxmemory_policy="noeviction", aof_enabled=1), ["ok", "ok"]),
        (RedisDouble(maxmemory_policy="noeviction", aof_enabled=0, save="3600 1"), ["ok", "ok"]),
        (RedisDouble(maxmemory_policy="allkeys-lru", aof_enabled=0), ["warning", "warning"]),
        (RedisDouble(maxmemory_policy="noeviction", aof_enabled=0, save=None), ["ok", "warning"]),
        (RedisDouble(maxmemory_policy="noeviction", aof_enabled=1, aof_last_write_status="err"), ["ok", "warning"]),
    ],
)
def test_redis_keeps_what_it_has(redis: RedisDouble, expected: list[str]) -> None:
    client = redis.as_client()
    assert [broker.check_eviction(client).health, broker.check_persistence(client).health] == expected


def test_redis_answers_or_its_error_is_reported() -> None:
    assert broker.check_redis(RedisDouble().as_client()).health is Health.OK
    assert "nobody is there" in broker.check_redis(RedisDouble(is_away=True).as_client()).message


def test_listeners_are_checked_by_queue() -> None:
    consumers = {"housekeeping": {"housekeeping@box"}, "slots.cuda": {"box-cuda-0@box"}}
    assert broker.check_housekeeping(consumers).health is Health.OK
    assert broker.check_housekeeping({}).health is Health.FAILED
    findings = broker.check_listeners(consumers, {"cpu", "cuda"})
    assert {finding.check: finding.health for finding in findings} == {
        "cpu workers": Health.FAILED,
        "cuda workers": Health.OK,
    }
    assert broker.check_listeners(consumers, set()) == []


def test_the_api_is_of_this_release_takes_the_key_and_says_what_it_lacks(settings: Settings, team: TestTeam) -> None:
    with TestClient(create_app(settings), headers=team.headers) as client:
        same, key, readiness = service.check_api(client, own_version="0.1.0")
        other, *_ = service.check_api(client, own_version="9.9")
        client.headers["Authorization"] = "Bearer emo_wrong"
        _, refused, _ = service.check_api(client, own_version="0.1.0")
    assert (same.health, other.health, "9.9" in other.message) == (Health.OK, Health.WARNING, True)
    assert (key.health, "reds" in key.message, refused.health) == (Health.OK, True, Health.FAILED)
    assert (readiness.health, "redis: " in readiness.message) == (Health.WARNING, True)


def refuse(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("connection refused", request=request)


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        (refuse, "connection refused"),
        (lambda _request: httpx2.Response(200, text="<html>"), "is not emotune's API"),
        (lambda _request: httpx2.Response(200, json={"info": []}), "is not emotune's API"),
    ],
)
def test_a_server_that_is_not_the_api_is_reported(
    handler: Callable[[httpx2.Request], httpx2.Response], said: str
) -> None:
    with httpx2.Client(base_url="http://box", transport=httpx2.MockTransport(handler)) as client:
        (finding,) = service.check_api(client, own_version="0.1.0")
    assert (finding.health, said in finding.message) == (Health.FAILED, True)


def test_without_redis_and_api_the_rest_is_examined(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOTUNE_URL", raising=False)
    settings.data_dir.chmod(0o700)
    found = {finding.check: finding.health for finding in examination.examine(settings)}
    assert found == {
        "data folder": "ok",
        "disk": "ok",
        "base model tiny-gemma": "failed",
        "gpu": "ok",
        "sqlite": "ok",
        "database": "ok",
        "schema": "ok",
        "clock": "ok",
        "slots": "failed",
        "leases": "ok",
        "failures": "ok",
        "redis": "failed",
        "api": "warning",
    }


def test_an_installation_that_is_not_there_is_not_made(settings: Settings, tmp_path: Path) -> None:
    missing = settings.model_copy(update={"data_dir": tmp_path / "nowhere"})
    found = {finding.check: finding.health for finding in examination.examine(missing)}
    assert (found["data folder"], found["sqlite"]) == ("failed", "failed")
    assert "schema" not in found
    assert not (tmp_path / "nowhere").exists()


def test_only_wrong_settings_are_reported_where_there_are_any(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMOTUNE_PORT", "many")
    assert examination.run_doctor(as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["health"], len(told["findings"])) == ("failed", 1)
    assert "EMOTUNE_PORT" in told["findings"][0]["message"]
    monkeypatch.delenv("EMOTUNE_PORT")
    monkeypatch.setenv("EMOTUNE_PROT", "1")
    assert examination.run_doctor(as_json=False) == 1
    line = capsys.readouterr().out
    assert (line.startswith("failed   settings  "), "EMOTUNE_PORT" in line, line.count("\n")) == (True, True, 1)


def test_each_finding_is_one_line() -> None:
    findings = [ok("disk", "Fine."), warn("slot a", "First\nsecond.", "Do this."), fail("redis", "Away.", "Start it.")]
    assert examination.render_lines(findings).splitlines() == [
        "ok       disk    Fine.",
        "warning  slot a  First second. -> Do this.",
        "failed   redis   Away. -> Start it.",
    ]
    assert [get_worst(findings[:count]) for count in range(4)] == ["ok", "ok", "warning", "failed"]
