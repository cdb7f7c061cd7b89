"""Runs that stop and resume: pause, preemption, checkpoints, crashes, and limits of time and memory."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from emomodel.checkpoints.index import list_checkpoints
from emomodel.config import TrainConfig
from jobs import records
from jobs.models import Dataset, Job
from jobs.runs import stops
from jobs.status import JobStatus
from tests.support.waiting import WAIT_SECONDS, wait_for
from tests.unit.worker.conftest import MakeJob, fake_argv
from tests.unit.worker.runs.running import (
    find_trainers,
    get_job,
    get_run,
    list_events,
    run_in_thread,
    run_until_it_fails,
)
from worker.resources import Resources
from worker.runs.turn import run_next

# The fake training process waits at this step for a request.
LAST_STEP_BEFORE_THE_WAIT = 4

Verb = Callable[[Session, str, str], object]


def start_and_ask(resources: Resources, job: Job, verb: Verb) -> None:
    """Run the job until its process waits, ask something of it, and wait for the run's end."""
    thread = run_in_thread(resources, "work_with_checkpoints")
    wait_for(lambda: get_job(resources.database, job.id).step == LAST_STEP_BEFORE_THE_WAIT)
    with resources.database.write() as session:
        verb(session, job.team_id, job.id)
    thread.join(WAIT_SECONDS)
    assert find_trainers() == []


def pause(session: Session, team_id: str, job_id: str) -> None:
    stops.request_pause(session, team_id=team_id, job_id=job_id)


def preempt(session: Session, _: str, job_id: str) -> None:
    assert stops.preempt(session, job_id=job_id, reason="The operator needs the slot")


def list_kinds(resources: Resources, job_id: str) -> list[str]:
    return [event.kind for event in list_events(resources.database, job_id)]


def list_saved(resources: Resources, job_id: str, attempt: int) -> list[int]:
    return [found.step for found in list_checkpoints(resources.storage.get_checkpoint_folder(job_id, attempt))]


def test_a_paused_job_leaves_its_slot_with_a_checkpoint_and_resumes_from_it(
    resources: Resources, make_job: MakeJob
) -> None:
    job = make_job()
    start_and_ask(resources, job, pause)
    paused = get_job(resources.database, job.id)
    assert (paused.status, paused.slot, paused.stop_kind, paused.checkpoint_step) == (JobStatus.PAUSED, None, None, 4)
    assert get_run(resources.database, paused).cause == "interruption"
    run_next(resources, fake_argv("work_with_checkpoints"))
    assert get_job(resources.database, job.id).status is JobStatus.PAUSED

    with resources.database.write() as session:
        resumed = stops.resume_job(session, team_id=job.team_id, job_id=job.id)
        assert (resumed.status, resumed.id) == (JobStatus.QUEUED, job.id)
    run_next(resources, fake_argv("work_with_checkpoints"))
    done = get_job(resources.database, job.id)
    assert (done.status, done.attempt, done.step) == (JobStatus.SUCCEEDED, 2, 5)
    kinds = list_kinds(resources, job.id)
    assert [kind for kind in kinds if kind in ("pause_requested", "checkpoint", "paused", "resumed", "succeeded")] == [
        "pause_requested",
        "checkpoint",
        "paused",
        "resumed",
        "succeeded",
    ]
    assert resources.storage.list_attempts(job.id) == [1, 2]
    assert list_saved(resources, job.id, 1) == list_saved(resources, job.id, 2) == []


def test_a_preempted_job_waits_again_and_resumes_where_it_was(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    start_and_ask(resources, job, preempt)
    waiting = get_job(resources.database, job.id)
    assert (waiting.status, waiting.checkpoint_step) == (JobStatus.QUEUED, 4)
    assert get_run(resources.database, waiting).cause == "interruption"
    run_next(resources, fake_argv("work_with_checkpoints"))
    assert get_job(resources.database, job.id).status is JobStatus.SUCCEEDED


def test_a_drained_worker_has_the_job_saved(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    start_and_ask(resources, job, lambda *_: resources.drain.request())
    waiting = get_job(resources.database, job.id)
    assert (waiting.status, waiting.checkpoint_step) == (JobStatus.QUEUED, 4)


def test_a_job_that_is_resumed_before_it_has_paused_waits_instead(resources: Resources, make_job: MakeJob) -> None:
    def pause_and_resume(session: Session, team_id: str, job_id: str) -> None:
        pause(session, team_id, job_id)
        stops.resume_job(session, team_id=team_id, job_id=job_id)

    job = make_job()
    start_and_ask(resources, job, pause_and_resume)
    assert get_job(resources.database, job.id).status is JobStatus.QUEUED


def test_a_cancel_outranks_a_pause(resources: Resources, make_job: MakeJob) -> None:
    def pause_and_cancel(session: Session, team_id: str, job_id: str) -> None:
        pause(session, team_id, job_id)
        stops.request_cancel(session, team_id=team_id, job_id=job_id)

    job = make_job()
    start_and_ask(resources, job, pause_and_cancel)
    assert get_job(resources.database, job.id).status is JobStatus.CANCELLED
    assert list_saved(resources, job.id, 1) == []


def test_a_checkpoint_is_saved_on_request_and_the_run_goes_on(
    resources: Resources, make_job: MakeJob, dataset: Dataset
) -> None:
    job = make_job()

    def save_then_pause(session: Session, team_id: str, job_id: str) -> None:
        asked = stops.request_checkpoint(session, team_id=team_id, job_id=job_id)
        again = stops.request_checkpoint(session, team_id=team_id, job_id=job_id)
        assert asked.checkpoint_requested_at == again.checkpoint_requested_at

    thread = run_in_thread(resources, "work_with_checkpoints")
    wait_for(lambda: get_job(resources.database, job.id).step == LAST_STEP_BEFORE_THE_WAIT)
    with resources.database.write() as session:
        save_then_pause(session, job.team_id, job.id)
    wait_for(lambda: get_job(resources.database, job.id).checkpoint_requested_at is None)
    saved = get_job(resources.database, job.id)
    assert (saved.status, saved.checkpoint_step) == (JobStatus.RUNNING, 4)
    assert list_kinds(resources, job.id).count("checkpoint") == 1
    with resources.database.write() as session:
        stops.request_cancel(session, team_id=job.team_id, job_id=job.id)
    thread.join(WAIT_SECONDS)


def test_a_crashed_job_resumes_from_its_checkpoint_and_drops_older_ones(
    resources: Resources, make_job: MakeJob
) -> None:
    job = make_job()
    argv = fake_argv("crash_after_a_checkpoint")
    run_next(resources, argv)
    waiting = get_job(resources.database, job.id)
    assert (waiting.status, waiting.error_code) == (JobStatus.QUEUED, None)
    assert list_saved(resources, job.id, 1) == [1]
    assert "crash 1 of 3" in list_events(resources.database, job.id)[-1].message
    run_next(resources, argv)
    done = get_job(resources.database, job.id)
    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)


def test_a_full_gpu_is_tried_once_more_with_half_the_batch(resources: Resources, make_job: MakeJob) -> None:
    job = make_job(config=TrainConfig(batch_size=12, auto_batch=True))
    run_next(resources, fake_argv("fill_the_gpu"))
    waiting = get_job(resources.database, job.id)
    assert (waiting.status, waiting.batch_split, waiting.peak_gpu_bytes) == (JobStatus.QUEUED, 2, 99)
    assert "batch_size of 6 and a gradient_accumulation of 2" in list_events(resources.database, job.id)[-1].message
    run_next(resources, fake_argv("fill_the_gpu"))
    assert get_job(resources.database, job.id).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize("config", [TrainConfig(batch_size=12), TrainConfig(batch_size=24, auto_batch=True)])
def test_a_gpu_that_stays_full_fails_the_job(resources: Resources, make_job: MakeJob, config: TrainConfig) -> None:
    job = make_job(config=config)
    for _ in range(2):
        run_next(resources, fake_argv("fill_the_gpu"))
    failed = get_job(resources.database, job.id)
    assert (failed.status, failed.error_code) == (JobStatus.FAILED, "cuda_out_of_memory")
    assert failed.attempt == (2 if config.auto_batch else 1)


def test_a_job_out_of_time_fails(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    with resources.database.write() as session:
        session.get_one(Job, job.id).timeout_seconds = 0.2
    run_next(resources, fake_argv("work_until_stopped"))
    failed = get_job(resources.database, job.id)
    assert (failed.status, failed.error_code) == (JobStatus.FAILED, "timeout")


def test_a_process_that_falls_silent_is_ended_and_counts_as_crashed(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    settings = resources.settings.model_copy(update={"silence_seconds": 2.0})
    run_until_it_fails(replace(resources, settings=settings), fake_argv("ignore_everything"))
    failed = get_job(resources.database, job.id)
    assert (failed.status, failed.error_code) == (JobStatus.FAILED, "trainer_stalled")
    with resources.database.read() as session:
        # On a very busy machine SIGTERM may end the process before it has begun to ignore that signal.
        assert {run.exit_code for run in records.list_runs(session, job_id=job.id)} <= {-9, -15}
    assert find_trainers() == []


def test_a_run_that_resumes_later_leaves_no_artifact(resources: Resources, make_job: MakeJob) -> None:
    job = make_job()
    run_next(resources, fake_argv("crash"))
    assert get_job(resources.database, job.id).status is JobStatus.QUEUED
    assert resources.storage.list_artifact_files(job.id) == set()
    assert (resources.storage.get_run_folder(job.id, 1) / "log.txt").exists()
