"""The examples that a trained model finds hardest, among them mislabelled and odd ones."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.access import CallerDep
from api.deps import DatabaseDep, JobIdPath, StorageDep
from api.errors import error_responses
from emomodel.insights.row_report import read_texts, read_worst
from jobs import records
from jobs.files.storage import Storage

router = APIRouter(tags=["artifacts"], responses=error_responses(401, 404))

ROW_REPORT_KIND = "row_report"
MAX_ROWS = 1000
DEFAULT_ROWS = 100


class RowRead(BaseModel):
    """One example of a job's dataset and its loss."""

    model_config = ConfigDict(extra="forbid")

    line: int = Field(
        description="Its line in the dataset's file, or in the validation dataset's file for a held-out example."
    )
    held_out: bool
    target_count: int = Field(description="Number of tokens to learn.")
    loss: float = Field(description="Nats per target token under the example's own emotion.")
    neutral_loss: float = Field(description="The same loss without any emotion.")
    text: str | None = Field(description="The line's beginning; null where the dataset has been deleted.")


class RowPage(BaseModel):
    """The hardest examples, the hardest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[RowRead]


@router.get("/jobs/{job_id}/rows", responses=error_responses(410))
def list_rows(
    job_id: JobIdPath,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS, description="Maximum number of examples.")] = DEFAULT_ROWS,
) -> RowPage:
    """List the examples with the highest loss after training. The job's config has to set `row_report`.

    The complete table is the artifact `row_report`, a Parquet file.
    """
    with database.read() as session:
        job = records.get_job(session, team_id=caller.team_id, job_id=job_id)
        artifact = records.get_artifact(session, job_id=job_id, kind=ROW_REPORT_KIND)
        filename = artifact.filename
        held_out_id = job.validation_dataset_id or job.dataset_id
        dataset_id = job.dataset_id
    rows = read_worst(storage.fetch_artifact(job_id, filename), limit)
    texts = {
        is_held_out: _read_texts(storage, source, [row.line for row in rows if row.held_out is is_held_out])
        for is_held_out, source in ((False, dataset_id), (True, held_out_id))
    }
    return RowPage(
        items=[
            RowRead(
                line=row.line,
                held_out=row.held_out,
                target_count=row.target_count,
                loss=row.loss,
                neutral_loss=row.neutral_loss,
                text=texts[row.held_out].get(row.line),
            )
            for row in rows
        ]
    )


def _read_texts(storage: Storage, dataset_id: str, lines: list[int]) -> dict[int, str]:
    if not lines:
        return {}
    try:
        return read_texts(storage.fetch_dataset(dataset_id), lines)
    except FileNotFoundError:
        return {}
