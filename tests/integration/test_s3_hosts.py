"""Two hosts that share a database, Redis and a bucket, and no folder."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from cli.client import ApiError
from cli.models import list_pushed_files, push_model
from jobs.files.storage import open_storage
from jobs.settings import Settings
from tests.support.s3 import BUCKET, S3Server, run_s3
from tests.support.stacks import ENDLESS_CONFIG, SHORT_CONFIG, Installation
from tests.support.waiting import wait_for

OWN, OTHER = "box-a-cpu", "box-b-cpu"

# Several trainings start one after another.
pytestmark = [pytest.mark.parametrize("database_url", ["postgresql"], indirect=True), pytest.mark.timeout(240)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with run_s3(tmp_path / "s3") as server:
        yield server


@pytest.fixture
def settings(settings: Settings, server: S3Server, tiny_gemma: Path) -> Settings:
    """The base model, too, comes from the bucket."""
    listed = {"tiny-gemma": "storage:tiny", "never-pushed": "storage:other"}
    settings = server.make_settings(
        settings,
        mirror_seconds=0.5,
        # Rarely: what a host has not written to the database is lost with it.
        metric_flush_seconds=60,
        base_models=listed,
        storage_link_seconds=60,
    )
    push_model(open_storage(settings), "tiny", list_pushed_files(tiny_gemma))
    return settings


def list_objects(server: S3Server, prefix: str) -> set[str]:
    folder = server.folder / "buckets" / BUCKET / "installation"
    return {path.relative_to(folder).as_posix() for path in (folder / prefix).rglob("*") if path.is_file()}


def ask(installation: Installation, path: str) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {installation.stack.api_key}"}
    return httpx2.get(f"{installation.stack.url}{path}", headers=headers)


def let_listings_age(folder: Path) -> None:
    """The API asks the store before it goes by what is kept."""
    kept = list((folder / "cache" / "listings").rglob("*.json"))
    assert kept
    for path in kept:
        os.utime(path, (0, 0))


def test_a_job_goes_on_on_a_host_that_shares_only_the_bucket(
    installation: Installation, server: S3Server, tmp_path: Path
) -> None:
    """The first host dies, and its disk with it."""
    client = installation.client
    client.drain_slot(OWN)
    worker = installation.start_worker_of_host("box-b", data_dir=tmp_path / "other")
    job_id = installation.submit(ENDLESS_CONFIG | {"checkpoint_every": 5})
    installation.wait_for_job(job_id, lambda job: job["checkpoint"] is not None)
    wait_for(lambda: any(key.endswith("checkpoint.json") for key in list_objects(server, f"runs/{job_id}/1")))
    wait_for(lambda: f"job {job_id}, attempt 1, on {OTHER} of box-b" in ask(installation, f"/jobs/{job_id}/logs").text)
    assert len(installation.list_trainers(tmp_path / "other")) == 1
    installation.kill_worker(worker)
    wait_for(lambda: installation.list_trainers(tmp_path / "other") == [])
    shutil.rmtree(tmp_path / "other")
    client.resume_slot(OWN)
    installation.wait_for_step(job_id, attempt=2)
    first, second = client.list_runs(job_id)
    assert (first["slot"], second["slot"]) == (OTHER, OWN)
    assert second["resumed_step"] >= 5
    client.ask_of_job(job_id, "cancel")
    installation.wait_for_status(job_id, "cancelled")
    # What had not been written to the database is in the checkpoint.
    installation.check_curve(job_id)
    # Once it has ended, no run resumes from its checkpoints.
    wait_for(lambda: list_objects(server, f"runs/{job_id}") <= {f"runs/{job_id}/{n}/log.txt" for n in (1, 2)})


def test_files_come_and_go_through_the_bucket_and_wait_for_it(
    installation: Installation, server: S3Server, tmp_path: Path
) -> None:
    client, folder = installation.client, installation.stack.settings.data_dir
    job_id = installation.submit(SHORT_CONFIG)
    installation.wait_for_status(job_id, "succeeded")
    bundle = next(item for item in client.list_artifacts(job_id) if item["kind"] == "bundle")
    assert f"artifacts/{job_id}/{bundle['filename']}" in list_objects(server, "artifacts")
    assert not (folder / "artifacts").exists()
    # By link. A client that doesn't follow it gets the address of the file, and its digest.
    target = tmp_path / "bundle.zip"
    client.download_artifact(job_id, "bundle", target)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == bundle["sha256"]
    answer = ask(installation, f"/jobs/{job_id}/bundle")
    assert (answer.status_code, answer.headers["ETag"]) == (307, f'"{bundle["sha256"]}"')
    assert answer.headers["Location"].startswith(server.endpoint)
    assert {path.name for path in (folder / "cache" / "models" / "tiny").iterdir()} >= {"config.json"}

    # While the store is away a run that ends reports that, jobs on known models may be posted, and no run begins.
    cancelled = installation.submit(ENDLESS_CONFIG)
    installation.wait_for_step(cancelled)
    server.stop()
    with pytest.raises(ApiError, match="object store"):
        client.upload_dataset(Path(__file__).parents[2] / "samples" / "chats.jsonl", "more")
    let_listings_age(folder)
    waiting = installation.submit(SHORT_CONFIG)
    with pytest.raises(ApiError, match=r"'never-pushed' has yet to be fetched"):
        client.create_job({"dataset_id": installation.dataset_id, "base_model": "never-pushed"})
    client.ask_of_job(cancelled, "cancel")
    installation.wait_for_status(cancelled, "cancelled")
    slot = installation.wait_for_slot(OWN, lambda slot: slot["status"] == "blocked")
    assert "object store" in slot["blocked_reason"]
    assert client.get_job(waiting)["status"] == "queued"
    server.start()
    installation.wait_for_status(waiting, "succeeded")
    assert client.get_job(waiting)["attempt"] == 1
    assert list((folder / "incoming").iterdir()) == []
