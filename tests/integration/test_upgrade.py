"""An installation of the first release is upgraded by `emotune migrate`, and then works: jobs, files and runs."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import DateTime, insert

from api.main import create_app
from emomodel.config import TrainConfig
from jobs.database.engine import Database
from jobs.database.schema import SchemaMismatch, get_known_schema, make_alembic_config
from jobs.doorbell import Doorbell
from jobs.files.storage import Storage
from jobs.models import Job
from jobs.runs.metrics import MetricStream
from jobs.settings import Settings
from scripts.made_rows import is_counter, reflect
from tests.support.brokers import make_memory_broker
from tests.support.gpus import DeviceDouble
from tests.support.redis_doubles import MemoryRedis
from worker.clock_watch import ClockWatch
from worker.drain import Drain
from worker.housekeeping.sweeper import sweep
from worker.resources import Resources, make_slot_check
from worker.runs.turn import run_next

REPOSITORY = Path(__file__).parents[2]
FIRST: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "first_release.json").read_bytes())
FAKE_TRAINER = REPOSITORY / "tests" / "unit" / "worker" / "fake_trainer.py"
JOBS: dict[str, dict[str, Any]] = {job["id"]: job for job in FIRST["tables"]["job"]}


@pytest.fixture
def settings(tmp_path: Path, database_url: str | None) -> Settings:
    model = tmp_path / "tiny-gemma"
    model.mkdir()
    (model / "config.json").write_text("{}")
    return Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        base_models={"tiny-gemma": str(model)},
        host_name="box",
        slot="slot-0",
        min_free_disk_bytes=0,
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """The database as the first release left it, with its files in the data folder."""
    for name, content in FIRST["files_base64"].items():
        path = settings.data_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content))
    database = Database(settings.sqlalchemy_url)
    config = make_alembic_config()
    with database.alter() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, FIRST["revision"])
        for table in reflect(connection).sorted_tables:
            times = {column.name for column in table.columns if isinstance(column.type, DateTime)}
            for row in FIRST["tables"][table.name]:
                values = {
                    name: datetime.fromisoformat(value) if value and name in times else value
                    for name, value in row.items()
                    if not is_counter(table, table.c[name])
                }
                connection.execute(insert(table).values(values))
    yield database
    database.close()


def emotune(settings: Settings, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EMOTUNE_")}
    environment["EMOTUNE_DATA_DIR"] = str(settings.data_dir)
    if settings.database_url is not None:
        environment["EMOTUNE_DATABASE_URL"] = settings.database_url
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environment,
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )


def make_resources(settings: Settings, database: Database) -> Resources:
    storage, device = Storage(settings.data_dir), DeviceDouble()
    return Resources(
        settings=settings,
        database=database,
        storage=storage,
        stream=MetricStream(MemoryRedis().as_client(), length=1000, expire_seconds=60),
        doorbell=Doorbell(make_memory_broker()),
        drain=Drain(),
        device=device,
        slot_check=make_slot_check(settings, storage, device, "this-boot"),
        boot_id="this-boot",
        clock_watch=ClockWatch(rest_seconds=0),
    )


def test_an_installation_of_the_first_release_works_after_the_upgrade(settings: Settings, database: Database) -> None:
    with pytest.raises(SchemaMismatch, match="emotune migrate"), TestClient(create_app(settings)):
        pass
    done = emotune(settings, "migrate")
    assert (done.returncode, done.stdout) == (
        0,
        f"The schema was migrated from {FIRST['revision']} to {get_known_schema().head}.\n",
    ), done.stderr
    headers = {"Authorization": f"Bearer {FIRST['secret']}"}
    with TestClient(create_app(settings), headers=headers) as client:
        _check_jobs(client)
        _check_files(client)
        _check_reposting(client)
        _check_runs(client, make_resources(settings, database))


def _get(client: TestClient, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, (path, response.text)
    return response.json()


def _check_jobs(client: TestClient) -> None:
    listed = {job["id"]: job for job in _get(client, "/jobs")["items"]}
    overview = {job["id"] for job in _get(client, "/jobs:overview")["items"]}
    assert set(listed) == overview == set(JOBS)
    for job_id, old in JOBS.items():
        job = _get(client, f"/jobs/{job_id}")
        for name in ("name", "status", "priority", "attempt", "step", "total_steps", "last_loss"):
            assert job[name] == old[name], (job_id, name)
        assert job["config"] | old["config"] == job["config"], "the upgrade changes no value of a config"
        runs = [run for run in FIRST["tables"]["run"] if run["job_id"] == job_id]
        assert len(_get(client, f"/jobs/{job_id}/runs")["items"]) == len(runs)
        for path in ("events", "metrics", "curves", "artifacts", "dataset"):
            _get(client, f"/jobs/{job_id}/{path}")
    # No page of the team fails because old rows lack some values.
    for path in ("/queue", "/team", "/team/usage", "/slots", "/keys", "/datasets", "/models"):
        _get(client, path)


def _check_files(client: TestClient) -> None:
    for artifact in FIRST["tables"]["artifact"]:
        response = client.get(f"/jobs/{artifact['job_id']}/artifacts/{artifact['kind']}")
        expected = FIRST["files_base64"][f"artifacts/{artifact['job_id']}/{artifact['filename']}"]
        assert response.content == base64.b64decode(expected)
    (dataset,) = FIRST["tables"]["dataset"]
    expected = base64.b64decode(FIRST["files_base64"][f"datasets/{dataset['id']}.jsonl"])
    assert client.get(f"/datasets/{dataset['id']}/file").content == expected
    assert _get(client, f"/datasets/{dataset['id']}")["report"]["line_count"] == 3


def _check_reposting(client: TestClient) -> None:
    """Post each old config again, as the dashboard does to copy a job."""
    for old in {str(job["config"]): job for job in JOBS.values()}.values():
        TrainConfig.model_validate(old["config"])
        body = {"name": "again", "base_model": old["base_model"], "dataset_id": old["dataset_id"]}
        response = client.post("/jobs", json=body | {"config": old["config"]})
        assert response.status_code == 201, response.text
        client.post(f"/jobs/{response.json()['id']}/cancel")


def _check_runs(client: TestClient, resources: Resources) -> None:
    """Check that of the dead runs one is queued again and one cancelled, and that waiting jobs then run in order."""
    sweep(resources)
    statuses = {job_id: _get(client, f"/jobs/{job_id}")["status"] for job_id in JOBS}
    changed = {
        JOBS[job_id]["status"]: status for job_id, status in statuses.items() if status != JOBS[job_id]["status"]
    }
    assert sorted(status for job_id, status in statuses.items() if JOBS[job_id]["status"] == "running") == [
        "cancelled",
        "queued",
    ], changed
    waiting = [job_id for job_id, status in statuses.items() if status == "queued"]
    for _ in waiting:
        run_next(resources, [sys.executable, str(FAKE_TRAINER), "succeed"])
    for job_id in waiting:
        job = _get(client, f"/jobs/{job_id}")
        assert (job["status"], job["attempt"]) == ("succeeded", JOBS[job_id]["attempt"] + 1), job["error"]
        bundle = client.get(f"/jobs/{job_id}/bundle")
        assert bundle.status_code == 200
    with resources.database.read() as session:
        assert session.get_one(Job, waiting[0]).slot is None
