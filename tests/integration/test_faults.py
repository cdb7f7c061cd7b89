"""What happens to a job when a part of the stack is stopped, killed or emptied while the job runs."""

import shutil
import time

import psutil
import pytest

from tests.support.brakes import MOST_BRAKED_STEPS
from tests.support.stacks import ENDLESS_CONFIG, SHORT_CONFIG, WAIT_SECONDS, Installation

# More steps than the brake lets through, so that such a training can't end before the brake is released.
HELD_STEPS = MOST_BRAKED_STEPS + 30
HELD_CONFIG = SHORT_CONFIG | {"max_steps": HELD_STEPS}
# One kind of database is enough where the database has no part in the fault.
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def installation(standing_installation: Installation) -> Installation:
    return standing_installation


def get_the_trainer(installation: Installation) -> psutil.Process:
    (trainer,) = installation.list_trainers()
    return trainer


@on_sqlite
def test_a_cancel_ends_a_running_job_and_its_process(installation: Installation) -> None:
    job_id = installation.submit(ENDLESS_CONFIG)
    installation.wait_for_step(job_id)
    trainer = get_the_trainer(installation)
    installation.client.ask_of_job(job_id, "cancel")
    job = installation.wait_for_status(job_id, "cancelled")
    assert job["error"] is None
    assert not trainer.is_running()
    assert {item["kind"] for item in installation.client.list_artifacts(job_id)} == {"metrics", "log"}


@on_sqlite
def test_a_killed_training_process_is_restarted_and_resumes(installation: Installation) -> None:
    installation.brake.hold()
    job_id = installation.submit(HELD_CONFIG | {"checkpoint_every": 10})
    installation.wait_for_job(job_id, lambda job: job["checkpoint"] is not None)
    get_the_trainer(installation).kill()
    installation.brake.release()
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert (job["status"], job["attempt"], job["step"]) == ("succeeded", 2, HELD_STEPS), job["error"]
    first, second = installation.client.list_runs(job_id)
    assert (first["cause"], first["error"]["code"], first["exit_code"]) == ("crash", "trainer_killed", -9)
    assert (second["cause"], second["error"]) == (None, None)
    # Where the runs overlap, the second repeats the first.
    losses: dict[int, set[float]] = {}
    for point in installation.list_metrics(job_id):
        losses.setdefault(point["step"], set()).add(point["loss"])
    assert sorted(losses) == list(range(1, HELD_STEPS + 1))
    assert {len(found) for found in losses.values()} == {1}


@on_sqlite
def test_a_paused_job_leaves_the_slot_to_another_and_resumes(installation: Installation) -> None:
    installation.brake.hold()
    job_id = installation.submit(HELD_CONFIG)
    installation.wait_for_step(job_id)
    installation.ask_the_held(job_id, "pause")
    paused = installation.wait_for_status(job_id, "paused")
    assert installation.list_trainers() == []
    other_id = installation.submit(SHORT_CONFIG, name="other")
    assert installation.wait_for_status(other_id, "succeeded", "failed")["status"] == "succeeded"
    installation.client.ask_of_job(job_id, "resume")
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert (job["status"], job["attempt"]) == ("succeeded", 2), job["error"]
    steps = [point["step"] for point in installation.list_metrics(job_id)]
    assert steps == list(range(1, HELD_STEPS + 1)), paused["checkpoint"]


def test_a_killed_workers_job_is_requeued_after_its_lease_and_finishes(installation: Installation) -> None:
    installation.brake.hold()
    job_id = installation.submit(HELD_CONFIG)
    installation.wait_for_step(job_id)
    orphan = get_the_trainer(installation)
    installation.kill_slot_worker()
    orphan.wait(10)
    installation.brake.release()
    requeued = installation.wait_for_status(job_id, "queued")
    assert requeued["attempt"] == 1
    before = installation.list_metrics(job_id)
    installation.start_slot_worker()
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert (job["status"], job["attempt"], job["step"]) == ("succeeded", 2, HELD_STEPS), job["error"]
    after = installation.client.read_metrics(job_id, before[-1]["cursor"])["items"]
    assert [point["cursor"] for point in after[:3]] == ["2-1", "2-2", "2-3"]


@pytest.mark.alone
@on_sqlite
def test_a_terminated_worker_requeues_its_job_and_leaves_soon(installation: Installation) -> None:
    job_id = installation.submit(ENDLESS_CONFIG)
    installation.wait_for_step(job_id)
    trainer = get_the_trainer(installation)
    assert installation.stop_slot_worker() < 10
    assert not trainer.is_running()
    job = installation.client.get_job(job_id)
    assert (job["status"], job["attempt"]) == ("queued", 1)
    installation.start_slot_worker()
    installation.wait_for_job(job_id, lambda job: job["status"] == "running" and job["attempt"] == 2)


@on_sqlite
def test_a_job_waits_out_the_loss_of_all_that_redis_held(installation: Installation) -> None:
    # The job is queued while no worker can take it, so its ring exists in Redis alone.
    installation.stop_slot_worker()
    job_id = installation.submit(SHORT_CONFIG)
    installation.kill_valkey()
    shutil.rmtree(installation.stack.settings.data_dir / "redis" / "appendonlydir")
    installation.start_valkey()
    installation.start_slot_worker()
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    assert len(installation.list_metrics(job_id)) == 6


@on_sqlite
def test_a_running_job_and_its_metrics_outlive_the_loss_of_redis(installation: Installation) -> None:
    installation.brake.hold()
    job_id = installation.submit(HELD_CONFIG)
    installation.wait_for_step(job_id)
    installation.kill_valkey()
    shutil.rmtree(installation.stack.settings.data_dir / "redis" / "appendonlydir")
    assert installation.client.get_job(job_id)["status"] == "running"
    installation.brake.release()
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    cursors = [point["cursor"] for point in installation.list_metrics(job_id)]
    assert cursors == [f"1-{seq}" for seq in range(1, HELD_STEPS + 1)]
    installation.start_valkey()


@on_sqlite
def test_one_slot_never_runs_two_jobs(installation: Installation) -> None:
    job_ids = [installation.submit(SHORT_CONFIG | {"max_steps": 2}, name=name) for name in ("first", "second")]
    most_running = most_trainers = 0
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        statuses = [installation.client.get_job(job_id)["status"] for job_id in job_ids]
        most_running = max(most_running, statuses.count("running"))
        most_trainers = max(most_trainers, len(installation.list_trainers()))
        if statuses == ["succeeded", "succeeded"]:
            break
        time.sleep(0.1)
    assert statuses == ["succeeded", "succeeded"]
    assert (most_running, most_trainers) == (1, 1)
