"""The verbs that stop and resume a job, for each state of the job."""

import pytest

from jobs.database.engine import Database
from jobs.errors import JobFinished, JobNotFound, JobNotRunning, JobStopping
from jobs.models import Dataset, Job
from jobs.runs import claims, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus, StopKind
from tests.unit.conftest import TestTeam
from tests.unit.jobs.runs.test_claims import add_job, claimed

VERBS = (stops.request_cancel, stops.request_pause, stops.resume_job, stops.request_checkpoint)


def test_another_teams_job_can_not_be_stopped(database: Database, dataset: Dataset, other_team: TestTeam) -> None:
    job_id = add_job(database, dataset)
    with database.write() as session:
        for verb in VERBS:
            with pytest.raises(JobNotFound):
                verb(session, team_id=other_team.id, job_id=job_id)


def test_a_waiting_job_is_paused_at_once_and_keeps_its_place(database: Database, dataset: Dataset) -> None:
    first, second = add_job(database, dataset), add_job(database, dataset)
    who = {"team_id": dataset.team_id, "job_id": first}
    with database.write() as session:
        assert stops.request_pause(session, **who).status is JobStatus.PAUSED
        assert stops.request_pause(session, **who).status is JobStatus.PAUSED
    assert claimed(database).id == second
    with database.write() as session:
        run_ends.interrupt(session, job_id=second, attempt=1, end=RunEnd(3), message="later")
        assert stops.resume_job(session, **who).status is JobStatus.QUEUED
        assert stops.resume_job(session, **who).status is JobStatus.QUEUED
    assert claimed(database).id == first


def test_a_paused_job_can_be_cancelled(database: Database, dataset: Dataset) -> None:
    who = {"team_id": dataset.team_id, "job_id": add_job(database, dataset)}
    with database.write() as session:
        stops.request_pause(session, **who)
        assert stops.request_cancel(session, **who).status is JobStatus.CANCELLED
        assert stops.request_cancel(session, **who).status is JobStatus.CANCELLED


def test_what_is_being_cancelled_takes_no_other_wish(database: Database, dataset: Dataset) -> None:
    who = {"team_id": dataset.team_id, "job_id": add_job(database, dataset)}
    claimed(database)
    with database.write() as session:
        stops.request_cancel(session, **who)
        for verb in (stops.request_pause, stops.resume_job, stops.request_checkpoint):
            with pytest.raises(JobStopping):
                verb(session, **who)
        assert not stops.preempt(session, job_id=who["job_id"], reason="x")


def test_a_later_wish_takes_the_place_of_a_weaker_one(database: Database, dataset: Dataset) -> None:
    who = {"team_id": dataset.team_id, "job_id": add_job(database, dataset)}
    claimed(database)
    with database.write() as session:
        assert stops.preempt(session, job_id=who["job_id"], reason="x")
        asked_at = session.get_one(Job, who["job_id"]).stop_requested_at
        paused = stops.request_pause(session, **who)
        assert (paused.stop_kind, paused.stop_requested_at) == (StopKind.PAUSE, asked_at)
        assert not stops.preempt(session, job_id=who["job_id"], reason="x")
        assert stops.resume_job(session, **who).stop_kind is StopKind.PREEMPT
        assert stops.request_cancel(session, **who).stop_kind is StopKind.CANCEL


def test_only_a_running_job_saves_a_checkpoint(database: Database, dataset: Dataset) -> None:
    who = {"team_id": dataset.team_id, "job_id": add_job(database, dataset)}
    with database.write() as session:
        with pytest.raises(JobNotRunning):
            stops.request_checkpoint(session, **who)
        assert not stops.preempt(session, job_id=who["job_id"], reason="x")
    job = claimed(database)
    with database.write() as session:
        asked_at = stops.request_checkpoint(session, **who).checkpoint_requested_at
        heartbeat = claims.heartbeat(session, job_id=job.id, attempt=1, lease_seconds=60)
        assert heartbeat.checkpoint_requested_at == asked_at is not None


def test_a_job_that_has_ended_stays_as_it_is(database: Database, dataset: Dataset) -> None:
    who = {"team_id": dataset.team_id, "job_id": add_job(database, dataset)}
    job = claimed(database)
    with database.write() as session:
        run_ends.succeed(session, job_id=job.id, attempt=1, end=RunEnd(0), artifacts=[], message="Done.", result={})
        for verb in (stops.request_cancel, stops.request_pause, stops.resume_job):
            with pytest.raises(JobFinished, match="already succeeded"):
                verb(session, **who)
        with pytest.raises(JobFinished):
            stops.update_job(session, **who, name=None, priority=5)
        assert stops.update_job(session, **who, name="kept", priority=None).name == "kept"


def test_a_waiting_job_with_more_priority_goes_first(database: Database, dataset: Dataset) -> None:
    _, second = add_job(database, dataset), add_job(database, dataset)
    with database.write() as session:
        stops.update_job(session, team_id=dataset.team_id, job_id=second, name=None, priority=7)
    assert claimed(database).id == second
