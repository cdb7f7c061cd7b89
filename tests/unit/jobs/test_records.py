"""Reading jobs and the records that belong to them."""

import pytest

from jobs import records
from jobs.database.engine import Database
from jobs.errors import ArtifactNotFound
from jobs.models import Artifact, Dataset
from jobs.runs import stops
from jobs.status import JobStatus
from tests.support.posting import post_job


def test_jobs_are_listed_by_status_newest_first(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        ids = [post_job(session, dataset).id for _ in range(3)]
        stops.request_cancel(session, team_id=dataset.team_id, job_id=ids[1])

    def list_ids(status: JobStatus | None) -> list[str]:
        with database.read() as session:
            page = records.list_jobs(session, team_id=dataset.team_id, status=status, cursor=None, limit=10)
        return [job.id for job in page.items]

    assert list_ids(None) == [ids[2], ids[1], ids[0]]
    assert list_ids(JobStatus.QUEUED) == [ids[2], ids[0]]
    assert list_ids(JobStatus.RUNNING) == []


def test_events_are_read_after_a_cursor(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        job = post_job(session, dataset)
        for number in range(3):
            records.add_event(session, job_id=job.id, attempt=0, kind="notice", message=str(number))
    with database.read() as session:
        events = records.list_events(session, job_id=job.id, after=0, limit=10)
        assert [event.message for event in events][1:] == ["0", "1", "2"]
        assert records.list_events(session, job_id=job.id, after=events[1].id, limit=1)[0].id == events[2].id


def test_artifacts_are_found_by_kind(database: Database, dataset: Dataset) -> None:
    with database.write() as session:
        job = post_job(session, dataset)
        for kind in ("log", "bundle"):
            artifact = Artifact(
                job_id=job.id, kind=kind, filename=kind, media_type="text/plain", size_bytes=1, sha256="0" * 64
            )
            session.add(artifact)
    with database.read() as session:
        assert [artifact.kind for artifact in records.list_artifacts(session, job_id=job.id)] == ["bundle", "log"]
        assert records.get_artifact(session, job_id=job.id, kind="log").filename == "log"
        with pytest.raises(ArtifactNotFound):
            records.get_artifact(session, job_id=job.id, kind="picture")
