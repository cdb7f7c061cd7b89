"""The spare training process of a real slot: who takes it, and that it never outlives its worker or costs a job."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.settings import Settings
from tests.support.brakes import Brake
from tests.support.stacks import SHORT_CONFIG, Installation, make_settings, run_installation
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, tiny_gemma: Path) -> Settings:
    made = make_settings(tmp_path_factory.mktemp("spares") / "data", None, tiny_gemma, lease_seconds=4.0)
    return made.model_copy(update={"spare_trainer": True})


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that the stack's processes import from beside the others."""
    folder = tmp_path_factory.mktemp("packages") / "site-packages"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def installation(
    tmp_path_factory: pytest.TempPathFactory, settings: Settings, packages: Path
) -> Iterator[Installation]:
    """One stack with a spare for all tests here; each leaves it with a worker that takes jobs."""
    with pytest.MonkeyPatch.context() as patch, Brake(tmp_path_factory.mktemp("brake") / "brake") as brake:
        brake.release()
        for name, value in (brake.variables | {"PYTHONPATH": str(packages)}).items():
            patch.setenv(name, value)
        with run_installation(settings, brake) as installation:
            yield installation
    assert installation.list_spares() == installation.list_trainers() == []


def wait_for_spare(installation: Installation, *, is_ready: bool = True) -> psutil.Process:
    """Wait for the spare, and with `is_ready` until it has imported everything: then it uses no time any more."""
    found: list[psutil.Process] = []

    def is_one() -> bool:
        found[:] = installation.list_spares()
        return len(found) == 1

    wait_for(is_one)
    (spare,) = found
    while is_ready and (before := sum(spare.cpu_times()[:2])) >= 0:
        time.sleep(0.5)
        if before > 1.0 and sum(spare.cpu_times()[:2]) - before < 0.02:
            break
    return spare


def run_one(installation: Installation, *, most_attempts: int = 1) -> str:
    job_id = installation.submit(SHORT_CONFIG)
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert job["status"] == "succeeded", job["error"]
    assert job["attempt"] <= most_attempts
    return job_id


def read_worker_log(installation: Installation) -> str:
    return installation.get_slot().log_path.read_text()


def test_the_second_of_two_jobs_is_trained_by_the_spare_of_the_first(installation: Installation) -> None:
    run_one(installation)
    spare = wait_for_spare(installation)
    job_id = run_one(installation)
    assert not spare.is_running(), "one process trains one job"
    assert f"spare_taken                    attempt=1 job_id={job_id} pid={spare.pid}" in read_worker_log(installation)
    assert wait_for_spare(installation, is_ready=False).pid != spare.pid


def test_a_spare_that_is_killed_while_idle_costs_no_job_an_attempt(installation: Installation) -> None:
    wait_for_spare(installation).kill()
    run_one(installation)


def test_a_spare_that_is_killed_while_it_imports_costs_no_job_an_attempt(installation: Installation) -> None:
    wait_for_spare(installation).kill()
    wait_for_spare(installation, is_ready=False).kill()
    run_one(installation)


def test_a_spare_that_is_killed_right_after_its_request_costs_an_attempt_at_most(installation: Installation) -> None:
    spare = wait_for_spare(installation)
    job_id = installation.submit(SHORT_CONFIG)
    wait_for(lambda: not any(process.pid == spare.pid for process in installation.list_spares()))
    spare.kill()
    job = installation.wait_for_status(job_id, "succeeded", "failed")
    assert (job["status"], job["attempt"]) in {("succeeded", 1), ("succeeded", 2)}, job["error"]


def test_a_cancel_ends_the_job_that_a_spare_has_just_got(installation: Installation) -> None:
    wait_for_spare(installation)
    job_id = installation.submit(SHORT_CONFIG | {"max_steps": 10_000_000})
    installation.wait_for_status(job_id, "running")
    installation.client.ask_of_job(job_id, "cancel")
    assert installation.wait_for_status(job_id, "cancelled", "failed")["status"] == "cancelled"
    assert installation.list_trainers() == []


def test_a_slot_that_its_operator_drains_has_no_spare(installation: Installation) -> None:
    wait_for_spare(installation, is_ready=False)
    name = installation.stack.settings.slot
    installation.client.drain_slot(name)
    wait_for(lambda: installation.list_spares() == [])
    installation.client.resume_slot(name)
    wait_for_spare(installation, is_ready=False)


def test_an_installed_package_replaces_the_spare(installation: Installation, packages: Path) -> None:
    before = wait_for_spare(installation, is_ready=False)
    (packages / "emotune-9.9.dist-info").mkdir()
    wait_for(lambda: not before.is_running())
    assert wait_for_spare(installation, is_ready=False).pid != before.pid


@pytest.mark.parametrize("is_ready", [True, False])
def test_no_spare_outlives_a_worker_that_is_killed(installation: Installation, is_ready: bool) -> None:
    if not is_ready:
        wait_for_spare(installation).kill()
    wait_for_spare(installation, is_ready=is_ready)
    installation.kill_slot_worker()
    wait_for(lambda: installation.list_spares() == [])
    installation.start_slot_worker()
    wait_for_spare(installation, is_ready=False)


def test_a_suspended_spare_whose_worker_was_killed_is_ended_by_the_next_worker(installation: Installation) -> None:
    spare = wait_for_spare(installation)
    spare.suspend()
    installation.kill_slot_worker()
    installation.start_slot_worker()
    wait_for(lambda: not spare.is_running())
    run_one(installation)


def test_a_worker_that_leaves_takes_its_spare_with_it(installation: Installation) -> None:
    wait_for_spare(installation, is_ready=False)
    installation.stop_slot_worker()
    assert installation.list_spares() == []
    notes = list((installation.stack.settings.data_dir / "slots").rglob("*.spare.lock"))
    assert [json.loads(note.read_text() or "null") for note in notes] == [None]
    installation.start_slot_worker()
    wait_for_spare(installation, is_ready=False)
