"""GET /jobs/{job_id}/rows: the rows of a job that are hardest to learn."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from emomodel.insights.row_report import ReportRow, write_row_report
from jobs.database.engine import Database
from jobs.files.keys import make_dataset_key
from jobs.files.storage import Storage
from jobs.models import Artifact, Dataset, Job
from jobs.settings import Settings

ROWS = [ReportRow(1, False, 7, 0.5, 0.9), ReportRow(2, False, 3, 2.5, 2.0), ReportRow(3, True, 4, 1.5, 1.6)]


@pytest.fixture
def storage(settings: Settings) -> Storage:
    return Storage(settings.data_dir)


@pytest.fixture
def job(make_job: Callable[..., Job], database: Database, tmp_path: Path, storage: Storage) -> Job:
    """A job with a row report."""
    job = make_job()
    source = tmp_path / "row_report.parquet"
    write_row_report(source, ROWS)
    size_bytes, sha256 = storage.put_artifact(job.id, "row_report-1.parquet", source)
    with database.write() as session:
        session.add(
            Artifact(
                job_id=job.id,
                kind="row_report",
                filename="row_report-1.parquet",
                media_type="application/vnd.apache.parquet",
                size_bytes=size_bytes,
                sha256=sha256,
            )
        )
    return job


def test_the_hardest_rows_come_first_with_their_text(
    client: TestClient, job: Job, dataset: Dataset, storage: Storage
) -> None:
    path = storage.root / make_dataset_key(dataset.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("first\nsecond\nthird\n")
    items = client.get(f"/jobs/{job.id}/rows").json()["items"]
    assert [(item["line"], item["held_out"], item["loss"], item["text"]) for item in items] == [
        (2, False, 2.5, "second"),
        (3, True, 1.5, "third"),
        (1, False, 0.5, "first"),
    ]
    assert [item["line"] for item in client.get(f"/jobs/{job.id}/rows?limit=1").json()["items"]] == [2]


def test_without_the_dataset_there_is_no_text(client: TestClient, job: Job, dataset: Dataset, storage: Storage) -> None:
    (storage.root / make_dataset_key(dataset.id)).unlink(missing_ok=True)
    assert {item["text"] for item in client.get(f"/jobs/{job.id}/rows").json()["items"]} == {None}


def test_a_job_without_a_report_and_anothers_job_have_no_rows(
    client: TestClient, other_client: TestClient, job: Job, make_job: Callable[..., Job]
) -> None:
    assert client.get(f"/jobs/{make_job('cold').id}/rows").status_code == 404
    assert other_client.get(f"/jobs/{job.id}/rows").json()["error"]["code"] == "job_not_found"
