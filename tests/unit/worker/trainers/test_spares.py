"""The spare training process of a slot, with a fake process: when there is one, and what a run does with it."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from jobs.files.keys import make_artifact_key
from jobs.runs import stops
from jobs.status import JobStatus
from tests.support.gpus import IDLE_GPU, DeviceDouble
from tests.support.waiting import WAIT_SECONDS, wait_for
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.runs.running import find_trainers, get_job, list_artifacts, wait_for_first_step
from worker.resources import Resources
from worker.runs.turn import run_next
from worker.slot.lock import get_spare_lock_path, hold_lock
from worker.trainers.environment import make_slot_environment
from worker.trainers.log_tail import LogTail
from worker.trainers.spare_keeper import SPARE_ARGUMENT, SlotSpares, make_spares, read_installation
from worker.trainers.spares import NO_SPARES
from worker.trainers.starting import Trainers, start_trainer
from worker.trainers.training_process import TrainingProcess

STATE_VARIABLE = "SPARE_STATE"
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def spares(resources: Resources) -> Iterator[SlotSpares]:
    found = SlotSpares(resources, fake_argv("succeed"), first_pause_seconds=0.05)
    yield found
    found.close()
    assert find_trainers() == []


def list_spares() -> list[psutil.Process]:
    return [process for process in find_trainers() if SPARE_ARGUMENT in process.cmdline()]


def keep_one(spares: SlotSpares) -> psutil.Process:
    """Have a spare started, and return it when it is ready."""
    spares.keep(is_open=True)
    spare = spares._spare
    assert spare is not None
    wait_for(lambda: spare.process.is_ready)
    return psutil.Process(spare.process.pid)


def read_log(resources: Resources, job_id: str) -> str:
    artifact = list_artifacts(resources.database, job_id)["log"]
    return (resources.storage.root / make_artifact_key(job_id, artifact.filename)).read_text()


def run_to_success(resources: Resources, spares: SlotSpares, job_id: str) -> None:
    run_next(resources, fake_argv("succeed"), spares)
    job = get_job(resources.database, job_id)
    assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)


def test_a_run_takes_the_spare_and_another_one_replaces_it(
    resources: Resources, spares: SlotSpares, make_job: MakeJob
) -> None:
    first = keep_one(spares)
    job_id = make_job().id
    run_to_success(resources, spares, job_id)
    assert not first.is_running()
    (second,) = list_spares()
    assert second.pid != first.pid
    text = read_log(resources, job_id)
    assert "a spare takes the request" in text
    assert f"for {job_id}/1" in text, "the process works in the folder of its run"
    assert "a library warns while it is imported" not in text, "that was before the run"


def test_a_spare_waits_in_no_runs_folder_and_leads_its_own_session(resources: Resources, spares: SlotSpares) -> None:
    spare = keep_one(spares)
    assert Path(spare.cwd()) == resources.settings.data_dir
    assert os.getsid(spare.pid) == os.getpgid(spare.pid) == spare.pid
    assert not any(name.startswith("EMOTUNE_") for name in spare.environ())


def test_a_spare_that_was_killed_while_idle_costs_the_job_nothing(
    resources: Resources, spares: SlotSpares, make_job: MakeJob
) -> None:
    keep_one(spares).kill()
    job_id = make_job().id
    with capture_logs() as lines:
        run_to_success(resources, spares, job_id)
    assert "a spare takes the request" not in read_log(resources, job_id)
    assert any(line["event"] == "spare_ended" and line["exit_code"] == -signal.SIGKILL for line in lines)


def test_a_spare_that_dies_before_it_answers_is_replaced_by_a_new_process(
    resources: Resources, spares: SlotSpares, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, "dies")
    keep_one(spares)
    job_id = make_job().id
    with capture_logs() as lines:
        run_to_success(resources, spares, job_id)
    assert [line["exit_code"] for line in lines if line["event"] == "spare_not_taken"] == [-signal.SIGKILL]


def test_a_spare_that_is_still_importing_is_given_the_job(
    resources: Resources, spares: SlotSpares, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, "importing")
    spares.keep(is_open=True)
    job_id = make_job().id
    run_to_success(resources, spares, job_id)
    assert "a spare takes the request" in read_log(resources, job_id)


def test_a_suspended_spare_is_replaced_by_a_new_process(resources: Resources, spares: SlotSpares) -> None:
    spare = keep_one(spares)
    spare.suspend()
    request_path = resources.settings.data_dir / "request.json"
    request_path.write_text("{}")
    with start_trainer(
        Trainers([sys.executable, "-c", "print('new')"], spares, answer_seconds=0.2),
        request_path,
        environment=make_slot_environment(resources),
        run_log=LogTail(),
        is_stopping=lambda: False,
    ) as trainer:
        assert trainer.pid != spare.pid
        assert not spare.is_running()


def test_a_job_is_cancelled_while_its_spare_does_not_answer(
    resources: Resources, spares: SlotSpares, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, "deaf")
    keep_one(spares)
    job = make_job()
    run = threading.Thread(target=run_next, args=[resources, fake_argv("succeed"), spares])
    run.start()
    wait_for(lambda: get_job(resources.database, job.id).status is JobStatus.RUNNING)
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=job.team_id, job_id=job.id)
    run.join(WAIT_SECONDS)
    assert get_job(resources.database, job.id).status is JobStatus.CANCELLED


def test_a_spare_that_can_not_import_is_reported_and_tried_again_after_longer_pauses(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STATE_VARIABLE, "broken")
    spares = SlotSpares(resources, fake_argv("succeed"), first_pause_seconds=0.2)
    began, starts = time.monotonic(), []
    with capture_logs() as lines:
        while time.monotonic() - began < 1.2:
            spares.keep(is_open=True)
            time.sleep(0.02)
        starts = [line for line in lines if line["event"] == "spare_starts"]
    spares.close()
    pauses = [line["next_try_seconds"] for line in lines if line["event"] == "spare_ended"]
    assert pauses[:2] == [0.2, 0.4]
    assert len(starts) <= len(pauses) + 1 <= 4
    assert any("no module of this name" in text for line in lines for text in line.get("output", []))


def test_a_spare_that_never_starts_is_tried_for_ever(resources: Resources) -> None:
    """The pause has an upper limit, also after more failures than a float can double it."""
    spares = SlotSpares(resources, ["/nowhere/python"], first_pause_seconds=0.0)
    with capture_logs() as lines:
        for _ in range(1100):
            spares.keep(is_open=True)
    assert {line["event"] for line in lines} == {"spare_not_started"}
    assert len(lines) == 1100
    spares.close()


@pytest.mark.parametrize("case", ["drained by the operator", "its worker leaves", "blocked"])
def test_a_slot_that_takes_no_job_has_no_spare(resources: Resources, spares: SlotSpares, case: str) -> None:
    keep_one(spares)
    if case == "its worker leaves":
        resources.drain.request()
    if case == "blocked":
        resources.slot_check.refuse("another host has this slot")
        resources.slot_check.recheck()
    spares.keep(is_open=case != "drained by the operator")
    assert list_spares() == []
    spares.keep(is_open=case != "drained by the operator")
    assert list_spares() == []


def test_a_spare_with_other_variables_than_a_new_process_would_have_is_replaced(
    resources: Resources, spares: SlotSpares, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keep_one(spares)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    job_id = make_job().id
    run_to_success(resources, spares, job_id)
    assert "a spare takes the request" not in read_log(resources, job_id)
    assert not first.is_running()


def test_a_spare_is_replaced_when_packages_were_installed(
    spares: SlotSpares, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    first = keep_one(spares)
    assert keep_one(spares).pid == first.pid
    before = read_installation()
    (packages / "torch-3.dist-info").mkdir()
    os.utime(packages, ns=(time.time_ns(), time.time_ns() + 1))
    assert read_installation() != before
    assert keep_one(spares).pid != first.pid
    assert not first.is_running()


def test_of_two_workers_for_one_slot_one_has_a_spare(resources: Resources, spares: SlotSpares) -> None:
    keep_one(spares)
    other = SlotSpares(resources, fake_argv("succeed"))
    other.keep(is_open=True)
    assert len(list_spares()) == 1
    spares.close()
    other.keep(is_open=True)
    assert len(list_spares()) == 1
    other.close()


def test_a_spare_that_outlived_its_worker_is_ended_by_the_next_one(resources: Resources, spares: SlotSpares) -> None:
    settings = resources.settings
    orphan = subprocess.Popen(SLEEPER, start_new_session=True)
    path = get_spare_lock_path(settings.data_dir, settings.slot, host=settings.host_name)
    with hold_lock(path, resources.boot_id) as notes:
        assert notes is not None
        notes.note_trainer(orphan.pid)
    keep_one(spares)
    assert orphan.wait(WAIT_SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize("device_kind", ["cpu", "cuda"])
def test_a_spare_is_replaced_beside_a_training_on_a_gpu_and_after_one_on_a_cpu(
    resources: Resources, make_job: MakeJob, device: DeviceDouble, device_kind: str
) -> None:
    device.reading = IDLE_GPU
    settings = resources.settings.model_copy(update={"slot_device": device_kind})
    resources = replace(resources, settings=settings)
    spares = SlotSpares(resources, fake_argv("work_until_stopped"))
    keep_one(spares)
    job = make_job()
    run = threading.Thread(target=run_next, args=[resources, fake_argv("work_until_stopped"), spares])
    run.start()
    wait_for_first_step(resources.database, job.id)
    spares.keep(is_open=True)
    # The process that trains is the former spare.
    assert len(list_spares()) == (2 if device_kind == "cuda" else 1)
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=job.team_id, job_id=job.id)
    run.join(WAIT_SECONDS)
    assert len(list_spares()) == 1
    spares.close()


def test_a_spare_whose_program_is_missing_is_reported(resources: Resources) -> None:
    spares = SlotSpares(resources, ["/nowhere/python"])
    with capture_logs() as lines:
        spares.keep(is_open=True)
    assert [line["event"] for line in lines] == ["spare_not_started"]
    assert "/nowhere/python" in lines[0]["reason"]
    spares.close()


def test_a_spare_that_can_not_be_noted_is_ended(resources: Resources) -> None:
    """It can't be noted where the disk is full: each further try would leave another process behind."""
    spares = SlotSpares(resources, fake_argv("succeed"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with capture_logs() as lines:
            spares.keep(is_open=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line["event"] for line in lines] == ["spare_not_started"]
    assert find_trainers() == []
    spares.close()


def test_an_operator_may_do_without_a_spare(resources: Resources, make_job: MakeJob) -> None:
    settings = resources.settings.model_copy(update={"spare_trainer": False})
    spares = make_spares(replace(resources, settings=settings), fake_argv("succeed"))
    assert spares is NO_SPARES
    spares.keep(is_open=True)
    assert find_trainers() == []
    job_id = make_job().id
    run_next(resources, fake_argv("succeed"), spares)
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED


def test_the_request_of_a_spare_that_is_gone_is_not_an_error(tmp_path: Path) -> None:
    with TrainingProcess(["true"], folder=tmp_path, environment={}, run_log=LogTail()) as process:
        wait_for(lambda: process.has_ended)
        process.hand_over(tmp_path / "request.json", LogTail())
        assert not process.has_answered_before_its_end()
