"""Two hosts, simulated by two workers with different host names, on one database, one Redis and one data folder."""

import json

import pytest

from cli.client import ApiError, Client
from cli.credentials import Credentials
from cli.database import open_database
from cli.processes import Process
from jobs.access.teams import create_key, get_or_create_team
from tests.support.stacks import ENDLESS_CONFIG, SHORT_CONFIG, Installation
from tests.support.waiting import wait_for

OWN, OTHER = "box-a-cpu", "box-b-cpu"

# Hosts share PostgreSQL, since SQLite is for one host.
pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


@pytest.fixture
def installation(standing_installation: Installation) -> Installation:
    return standing_installation


def start_two_jobs(installation: Installation) -> tuple[Process, dict[str, str]]:
    """Start a job on each host; returns the second host's worker, and the id of the job on each slot."""
    assert installation.stack.settings.slot == OWN
    worker = installation.start_worker_of_host("box-b")
    for name in (OWN, OTHER):
        installation.wait_for_slot(name, lambda slot: slot["status"] == "idle")
    config = ENDLESS_CONFIG | {"checkpoint_every": 5}
    for job_id in [installation.submit(config, name=name) for name in ("first", "second")]:
        installation.wait_for_job(job_id, lambda job: job["checkpoint"] is not None)
    slots = installation.get_slots()
    assert [(name, slot["host"], slot["status"]) for name, slot in slots.items()] == [
        (OWN, "box-a", "running"),
        (OTHER, "box-b", "running"),
    ]
    return worker, {name: slot["job"]["id"] for name, slot in slots.items()}


def test_a_job_of_a_dead_host_resumes_on_the_other_host(installation: Installation) -> None:
    worker, jobs = start_two_jobs(installation)
    assert len(set(jobs.values())) == 2
    installation.client.ask_of_job(jobs[OWN], "cancel")
    installation.wait_for_status(jobs[OWN], "cancelled")
    installation.kill_worker(worker)
    installation.wait_for_step(jobs[OTHER], attempt=2)
    slot = installation.wait_for_slot(OWN, lambda slot: slot["status"] == "running")
    assert slot["job"]["id"] == jobs[OTHER]
    # The run resumed from the checkpoint that the other host had left in the shared folder.
    first, second = installation.client.list_runs(jobs[OTHER])
    assert (first["slot"], second["slot"], first["error"]["code"]) == (OTHER, OWN, "worker_lost")
    assert second["resumed_step"] >= 5
    installation.wait_for_slot(OTHER, lambda slot: slot["status"] == "away")
    installation.client.ask_of_job(jobs[OTHER], "cancel")
    installation.wait_for_status(jobs[OTHER], "cancelled")
    installation.check_curve(jobs[OTHER])


def test_each_host_keeps_locks_of_its_own(installation: Installation) -> None:
    start_two_jobs(installation)
    folder = installation.stack.settings.data_dir / "slots"
    notes = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.lock")}
    trainers = {trainer.pid for trainer in installation.list_trainers()}
    # Other tests on this stack may have left locks that nobody holds.
    held = {name: pid for name, note in notes.items() if note and (pid := json.loads(note)["pid"]) in trainers}
    assert set(held) == {f"box-a/{OWN}.lock", f"box-b/{OTHER}.lock"}
    assert set(held.values()) == trainers
    assert len(trainers) == 2


def test_a_drained_host_gets_no_new_jobs_until_it_is_resumed(installation: Installation) -> None:
    with open_database(installation.stack.settings) as database, database.write() as session:
        _, secret = create_key(session, team=get_or_create_team(session, name="reds"), name="laptop")
    with (
        Client(Credentials(url=installation.stack.url, api_key=secret)) as member,
        pytest.raises(ApiError, match="operator"),
    ):
        member.drain_slot(OWN)
    assert installation.client.drain_slot(OWN)["status"] == "drained"
    job_id = installation.submit(ENDLESS_CONFIG)
    worker = installation.start_worker_of_host("box-b")
    installation.wait_for_step(job_id)
    assert installation.get_slots()[OTHER]["job"]["id"] == job_id
    installation.client.ask_of_job(job_id, "cancel")
    installation.wait_for_status(job_id, "cancelled")
    installation.kill_worker(worker)
    waiting = installation.submit(SHORT_CONFIG)
    slot = installation.get_slots()[OWN]
    assert (slot["status"], slot["job"]) == ("drained", None)
    installation.client.resume_slot(OWN)
    installation.wait_for_status(waiting, "succeeded")


def test_a_slots_name_is_not_shared_by_two_hosts(installation: Installation) -> None:
    installation.wait_for_slot(OWN, lambda slot: slot["status"] == "idle")
    twin = installation.start_worker_of_host("box-b", slot=OWN)
    wait_for(lambda: "slot_blocked" in twin.log_path.read_text())
    assert "A worker on box-a runs a slot of this name" in twin.log_path.read_text()
    # Each ring may go to either worker.
    for _ in range(3):
        installation.wait_for_status(installation.submit(SHORT_CONFIG), "succeeded")
    assert installation.get_slots()[OWN]["host"] == "box-a"
    assert "run_starts" not in twin.log_path.read_text()
