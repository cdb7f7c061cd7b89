"""A complete run with a fake training process: what the rows, the files and the stream hold at its end."""

import json
from datetime import timedelta

import psutil
import pytest

from emomodel.bundles.bundle import verify
from jobs import records
from jobs.clock import utc_now
from jobs.files.keys import make_artifact_key, make_dataset_key
from jobs.models import Dataset, Job, Metric
from jobs.runs import claims, reaping, stops
from jobs.status import JobStatus
from tests.support.redis_doubles import MemoryRedis
from tests.support.waiting import WAIT_SECONDS
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.runs.running import (
    find_trainers,
    get_job,
    get_run,
    list_artifacts,
    list_events,
    run_in_thread,
    run_until_it_fails,
    wait_for_first_step,
)
from worker.resources import Resources
from worker.runs.turn import run_next


def test_a_run_that_succeeds_leaves_a_bundle_its_traces_and_the_numbers(
    resources: Resources, make_job: MakeJob, redis: MemoryRedis
) -> None:
    job_id = make_job().id
    run_next(resources, fake_argv("succeed"))

    job = get_job(resources.database, job_id)
    assert (job.status, job.attempt, job.step, job.total_steps) == (JobStatus.SUCCEEDED, 1, 5, 5)
    assert job.last_loss == pytest.approx(0.8)
    assert (job.slot, job.phase, job.lease_expires_at, job.error_code) == (None, None, None, None)
    run = get_run(resources.database, job)
    assert (run.outcome, run.exit_code) == ("succeeded", 0)

    artifacts = list_artifacts(resources.database, job_id)
    assert set(artifacts) == {"bundle", "metrics", "loss_curve", "log"}
    paths = {
        kind: (resources.storage.root / make_artifact_key(job_id, item.filename)) for kind, item in artifacts.items()
    }
    assert {kind: path.stat().st_size for kind, path in paths.items()} == {
        kind: item.size_bytes for kind, item in artifacts.items()
    }
    assert verify(paths["bundle"]).base_model == "tiny-gemma"
    assert [json.loads(line)["step"] for line in paths["metrics"].read_text().splitlines()] == [1, 2, 3, 4, 5]
    log = paths["log"].read_text()
    assert "a library warns" in log
    assert "a stray line" in log
    # Heading and working folder name the run, for a reader who has only the file or only the process.
    assert log.startswith(f"[emotune: job {job_id}, attempt 1, on slot-0 of box]\n")
    assert f"for {job_id}/1\n" in log

    with resources.database.read() as session:
        assert [row.seq for row in session.query(Metric).order_by(Metric.seq)] == [1, 2, 3, 4, 5]
    assert [place for stream in redis.streams.values() for place in stream] == [(1, seq) for seq in range(1, 6)]


def test_events_record_a_run_in_order(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_next(resources, fake_argv("succeed"))
    kinds = [event.kind for event in list_events(resources.database, job_id)]
    assert kinds == ["queued", "running", "phase", "plan", "phase", "notice", "succeeded"]
    messages = [event.message for event in list_events(resources.database, job_id)]
    assert any("1 of them cut" in message for message in messages)
    assert "something odd" in messages


def test_the_run_folder_keeps_only_what_is_read_later(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_next(resources, fake_argv("succeed"))
    folder = resources.storage.get_run_folder(job_id, 1)
    assert {path.name for path in folder.iterdir()} == {"request.json", "log.txt", "metrics.jsonl"}


def test_a_failure_that_the_process_names_becomes_the_jobs_error(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_next(resources, fake_argv("fail"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "no_targets")
    assert job.error_message == "no example has a token to learn"
    assert get_run(resources.database, job).exit_code == 1


def test_a_job_that_crashes_each_time_fails_with_exit_code_and_last_lines(
    resources: Resources, make_job: MakeJob
) -> None:
    job_id = make_job().id
    run_until_it_fails(resources, fake_argv("crash"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.attempt, job.error_code, job.step) == (JobStatus.FAILED, 3, "trainer_crashed", 1)
    assert "exit code 1" in (job.error_message or "")
    assert "crash 3 of 3" in (job.error_message or "")
    assert (job.error_log or [])[-1] == "RuntimeError: the device is on fire"
    with resources.database.read() as session:
        assert [run.cause for run in records.list_runs(session, job_id=job_id)] == ["crash", "crash", None]
    assert set(list_artifacts(resources.database, job_id)) == {"log", "metrics"}


def test_a_kill_from_outside_is_reported_with_the_signals_name(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_next(resources, fake_argv("be_killed"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.error_code) == (JobStatus.QUEUED, None)
    run = get_run(resources.database, job)
    assert (run.exit_code, run.cause, run.error_code) == (-9, "crash", "trainer_killed")
    assert "SIGKILL" in (run.error_message or "")
    # The kernel counted the kill, although the process itself could report nothing.
    assert (run.peak_host_bytes or 0) > 1_000_000
    assert job.peak_host_bytes == run.peak_host_bytes


def test_an_end_without_a_result_is_a_crash(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_until_it_fails(resources, fake_argv("end_in_silence"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "trainer_crashed")


def test_a_result_without_a_bundle_fails_the_job(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_until_it_fails(resources, fake_argv("succeed_without_bundle"))
    job = get_job(resources.database, job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "bundle_invalid")
    assert "bundle" not in list_artifacts(resources.database, job_id)


def test_a_base_model_that_went_away_fails_the_job(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job(base_model="gone").id
    run_next(resources, fake_argv("succeed"))
    assert get_job(resources.database, job_id).error_code == "base_model_unknown"


def test_a_process_that_cannot_be_started_fails_the_job(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_until_it_fails(resources, ["/nowhere/python"])
    job = get_job(resources.database, job_id)
    assert (job.status, job.error_code) == (JobStatus.FAILED, "worker_error")
    assert "/nowhere/python" in (job.error_message or "")


@pytest.mark.parametrize("scenario", ["work_until_stopped", "ignore_stop", "ignore_everything"])
def test_a_cancel_ends_a_process_that_ignores_it(
    resources: Resources, make_job: MakeJob, dataset: Dataset, scenario: str
) -> None:
    job_id = make_job().id
    thread = run_in_thread(resources, scenario)
    wait_for_first_step(resources.database, job_id)
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job_id)
    thread.join(WAIT_SECONDS)
    job = get_job(resources.database, job_id)
    assert job.status is JobStatus.CANCELLED
    expected = {"work_until_stopped": 3, "ignore_stop": -15, "ignore_everything": -9}[scenario]
    assert get_run(resources.database, job).exit_code == expected
    assert find_trainers() == []


def test_a_drain_requeues_the_job_without_counting_a_crash(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    thread = run_in_thread(resources, "work_until_stopped")
    wait_for_first_step(resources.database, job_id)
    resources.drain.request()
    thread.join(WAIT_SECONDS)
    job = get_job(resources.database, job_id)
    assert (job.status, job.attempt) == (JobStatus.QUEUED, 1)
    run = get_run(resources.database, job)
    assert (run.outcome, run.cause, run.error_code) == ("queued", "interruption", None)


def test_a_drain_of_a_cancelled_job_does_not_bring_it_back(
    resources: Resources, make_job: MakeJob, dataset: Dataset
) -> None:
    job_id = make_job().id
    thread = run_in_thread(resources, "ignore_stop")
    wait_for_first_step(resources.database, job_id)
    resources.drain.request()
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job_id)
    thread.join(WAIT_SECONDS)
    assert get_job(resources.database, job_id).status is JobStatus.CANCELLED


def test_a_fenced_run_kills_its_process_and_touches_nothing(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    thread = run_in_thread(resources, "ignore_everything")
    wait_for_first_step(resources.database, job_id)
    with resources.database.write() as session:
        session.get_one(Job, job_id).lease_expires_at = utc_now() - timedelta(seconds=1)
        reaping.reap(session, max_crashes=3)
        taken = claims.claim_next(session, slot="slot-1", device="cpu", lease_seconds=60)
        assert taken is not None
        assert taken.attempt == 2
    thread.join(WAIT_SECONDS)
    assert find_trainers() == []
    job = get_job(resources.database, job_id)
    assert (job.status, job.attempt, job.slot) == (JobStatus.RUNNING, 2, "slot-1")
    assert list_artifacts(resources.database, job_id) == {}


def test_what_the_process_started_ends_with_it(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    before = set(psutil.Process().children(recursive=True))
    run_next(resources, fake_argv("leave_a_child"))
    assert get_job(resources.database, job_id).status is JobStatus.SUCCEEDED
    started = set(psutil.Process().children(recursive=True)) - before
    assert [child for child in started if child.status() != psutil.STATUS_ZOMBIE] == []


def test_a_process_that_floods_its_log_is_not_held_up(resources: Resources, make_job: MakeJob) -> None:
    job_id = make_job().id
    run_next(resources, fake_argv("chatter"))
    assert get_job(resources.database, job_id).error_code == "no_targets"
    assert (resources.storage.get_run_folder(job_id, 1) / "log.txt").read_text().count("x" * 99 + "\n") == 3000


def test_the_request_says_all_that_the_process_needs(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    run_next(resources, fake_argv("fail"))
    folder = resources.storage.get_run_folder(job.id, 1)
    request = json.loads((folder / "request.json").read_text())
    assert request["dataset_path"] == str(resources.storage.root / make_dataset_key(job.dataset_id))
    assert request["base_model_path"] == resources.settings.base_models["tiny-gemma"]
    assert request["axes"] == job.axes
    assert request["output_dir"] == str(folder / "output")
