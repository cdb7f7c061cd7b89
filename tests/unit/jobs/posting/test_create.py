"""The verbs on jobs."""

import pytest
from sqlalchemy.orm import Session

from emomodel.config import TrainConfig
from jobs import records
from jobs.database.engine import Database
from jobs.errors import IdempotencyKeyReused, JobFinished, JobNotFound, NoSlotForConfig
from jobs.models import Dataset, Job
from jobs.runs import claims, slots, stops
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus, StopKind
from tests.support.posting import post_job
from tests.unit.conftest import TestTeam


def create(session: Session, dataset: Dataset, *, key: str | None = None, config: TrainConfig | None = None) -> Job:
    return post_job(session, dataset, name="warm", config=config or TrainConfig(), idempotency_key=key)


def claim(session: Session, slot: str = "slot-0") -> Job:
    job = claims.claim_next(session, slot=slot, device="cpu", lease_seconds=60)
    assert job is not None
    return job


def test_a_job_keeps_what_it_was_made_with(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        job = create(session, dataset, config=TrainConfig(epochs=1))
        session.delete(session.get_one(Dataset, dataset.id))
    with database.read() as session:
        kept = records.get_job(session, team_id=dataset.team_id, job_id=job.id)
    assert (kept.status, kept.attempt) == (JobStatus.QUEUED, 0)
    assert (kept.dataset_name, kept.dataset_sha256, kept.axes) == (dataset.name, dataset.sha256, dataset.axes)
    assert kept.config == TrainConfig(epochs=1).model_dump(mode="json")


def test_the_same_request_makes_one_job(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        first = create(session, dataset, key="a")
    with database.write() as session:
        assert create(session, dataset, key="a").id == first.id
        assert create(session, dataset, key="b").id != first.id
        assert create(session, dataset).id != first.id


def test_another_request_with_the_same_key_is_refused(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        create(session, dataset, key="a")
        with pytest.raises(IdempotencyKeyReused):
            create(session, dataset, key="a", config=TrainConfig(epochs=1))


def test_a_key_belongs_to_its_team(database: Database, dataset: Dataset, other_team: TestTeam) -> None:
    with database.write() as session:
        first = create(session, dataset, key="a")
        dataset.team_id = other_team.id
        assert create(session, dataset, key="a").id != first.id


@pytest.mark.parametrize(
    ("config", "field"),
    [(TrainConfig(backend="unsloth"), "config.backend"), (TrainConfig(load_in_4bit=True), "config.load_in_4bit")],
)
def test_what_needs_cuda_waits_for_the_first_slot_and_is_refused_once_there_are_only_others(
    database: Database, dataset: Dataset, config: TrainConfig, field: str
) -> None:
    with database.write() as session:
        assert create(session, dataset, config=config).needs_cuda
        slots.note_slot(session, name="slot-0", device="cpu", host="here")
        with pytest.raises(NoSlotForConfig) as refused:
            create(session, dataset, config=config)
        assert refused.value.field == field
        slots.note_slot(session, name="slot-1", device="cuda", host="here")
        create(session, dataset, config=config)


def test_a_waiting_job_is_cancelled_at_once(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        job = create(session, dataset)
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id)
        assert job.status is JobStatus.CANCELLED
        assert job.finished_at is not None
        stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id)
        session.flush()
        kinds = [event.kind for event in records.list_events(session, job_id=job.id, after=0, limit=10)]
    assert kinds == ["queued", "cancelled"]


def test_a_running_job_is_asked_to_stop_once(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        create(session, dataset)
        job = claim(session)
        asked_at = stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id).stop_requested_at
        again = stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id)
        assert (again.status, again.stop_requested_at) == (JobStatus.RUNNING, asked_at)
        assert claims.heartbeat(session, job_id=job.id, attempt=1, lease_seconds=60).stop is StopKind.CANCEL


def test_a_job_that_succeeded_can_not_be_cancelled(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        create(session, dataset)
        job = claim(session)
        run_ends.succeed(session, job_id=job.id, attempt=1, end=RunEnd(0), artifacts=[], message="Done.", result={})
        session.refresh(job)
        with pytest.raises(JobFinished):
            stops.request_cancel(session, team_id=dataset.team_id, job_id=job.id)


@pytest.mark.parametrize(("told_step", "shown"), [(None, (6, 1.5)), (5, (5, 2.5))])
def test_a_job_that_took_no_step_in_its_last_run_shows_its_results(
    database: Database, dataset: Dataset, told_step: int | None, shown: tuple[int, float]
) -> None:
    """It resumed from the checkpoint of the last step. What a metric has reported stays."""
    with database.write() as session:
        create(session, dataset)
        job = claim(session)
        if told_step is not None:
            job.step, job.last_loss = told_step, 2.5
        result = {"step_count": 6, "final_loss": 1.5}
        run_ends.succeed(session, job_id=job.id, attempt=1, end=RunEnd(0), artifacts=[], message="Done.", result=result)
        session.refresh(job)
        assert (job.step, job.last_loss) == shown


def test_another_teams_job_is_not_found(database: Database, dataset: Dataset, other_team: TestTeam) -> None:
    with database.write() as session:
        job = create(session, dataset)
        for verb in (records.get_job, stops.request_cancel):
            with pytest.raises(JobNotFound):
                verb(session, team_id=other_team.id, job_id=job.id)
        assert job.status is JobStatus.QUEUED
