"""Datasets: upload, list, get, delete."""

from typing import Annotated, Any
from urllib.parse import unquote

from anyio import to_thread
from fastapi import APIRouter, BackgroundTasks, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from api.deps import (
    DEFAULT_PAGE_LENGTH,
    CallerDep,
    DatabaseDep,
    DatasetIdPath,
    PageCursor,
    PageLength,
    SettingsDep,
    StorageDep,
)
from api.errors import error_responses
from api.schemas import DatasetRead, Name, Page
from api.uploads import is_form, open_stream, take_in
from emomodel.dataset_report import DatasetReport
from emomodel.emotions import DEFAULT_AXES, Axes
from jobs import datasets
from jobs.database import Database
from jobs.errors import Invalid
from jobs.ids import new_id
from jobs.storage import IncomingFile, Storage

router = APIRouter(tags=["datasets"], responses=error_responses(401))

_NAME: TypeAdapter[str] = TypeAdapter(Name)
_LINE = (
    '{"messages": [{"role": "user", "content": "How was it?"}, '
    '{"role": "assistant", "content": "<emo joy=0.9>Great!</emo>"}]}\n'
)
_BINARY = {"type": "string", "format": "binary"}
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "JSON Lines, one dialogue a line (docs/data-format.md), as the body or as a form's `file`.",
        "content": {
            "application/jsonl": {"schema": _BINARY, "example": _LINE},
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "contentMediaType": "application/jsonl"},
                        "name": {"type": "string", "description": "Default: the file's name."},
                    },
                }
            },
        },
    }
}


@router.post("/datasets", status_code=201, openapi_extra=_UPLOAD, responses=error_responses(400, 413, 415, 507))
async def create_dataset(
    request: Request,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    response: Response,
    name: Annotated[str | None, Query(description="For people; goes before the header and the form.")] = None,
    x_dataset_name: Annotated[
        str | None, Header(alias="X-Dataset-Name", description="The name, percent-encoded UTF-8.")
    ] = None,
    axes: Annotated[
        str | None, Query(description="Own axes in place of the eight, such as `COLD_WARM,SHY_BOLD`: 2 to 64.")
    ] = None,
) -> DatasetRead:
    """Upload a dataset. It is validated while it comes; one with bad lines is refused whole, with a report of them."""
    given_name = name or (unquote(x_dataset_name) if x_dataset_name else None)
    if given_name is not None or not is_form(request):
        given_name = _check_name(given_name)
    file_axes = DEFAULT_AXES if axes is None else _read_axes(axes)
    stream = open_stream(request, settings)
    storage.check_free(settings.min_free_disk_bytes)
    with storage.receive() as incoming:
        report = await take_in(stream, incoming, file_axes, settings)

        def keep() -> DatasetRead:
            return _keep(
                database,
                storage,
                incoming,
                team_id=caller.team_id,
                name=given_name or _check_name(stream.name),
                axes=list(file_axes),
                report=report,
            )

        dataset = await to_thread.run_sync(keep)
    response.headers["Location"] = f"/datasets/{dataset.id}"
    return dataset


@router.get("/datasets")
def list_datasets(
    caller: CallerDep, database: DatabaseDep, cursor: PageCursor = None, limit: PageLength = DEFAULT_PAGE_LENGTH
) -> Page[DatasetRead]:
    """Your team's datasets, newest first, without their reports."""
    with database.read() as session:
        page = datasets.list_datasets(session, team_id=caller.team_id, cursor=cursor, limit=limit)
        items = [DatasetRead.of(dataset, with_report=False) for dataset in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.get("/datasets/{dataset_id}", responses=error_responses(404))
def get_dataset(dataset_id: DatasetIdPath, caller: CallerDep, database: DatabaseDep) -> DatasetRead:
    """A dataset with its report."""
    with database.read() as session:
        return DatasetRead.of(datasets.get_dataset(session, team_id=caller.team_id, dataset_id=dataset_id))


@router.delete("/datasets/{dataset_id}", status_code=204, responses=error_responses(404, 409))
def delete_dataset(
    dataset_id: DatasetIdPath, caller: CallerDep, database: DatabaseDep, storage: StorageDep, tasks: BackgroundTasks
) -> None:
    """Delete a dataset that no waiting or running job uses. Jobs that have ended keep its name and sha256."""
    with database.write() as session:
        datasets.delete_dataset(session, team_id=caller.team_id, dataset_id=dataset_id)
    # After the commit: a row must never point at a file that is gone.
    tasks.add_task(storage.delete_dataset, dataset_id)


def _keep(
    database: Database,
    storage: Storage,
    incoming: IncomingFile,
    *,
    team_id: str,
    name: str,
    axes: list[str],
    report: DatasetReport,
) -> DatasetRead:
    """The file first, then the row that points at it; without the row the file goes again."""
    dataset_id = new_id("ds")
    incoming.move_to(storage.get_dataset_path(dataset_id))
    try:
        with database.write() as session:
            dataset = datasets.add_dataset(
                session,
                dataset_id=dataset_id,
                team_id=team_id,
                name=name,
                size_bytes=incoming.size_bytes,
                sha256=incoming.sha256,
                axes=axes,
                example_count=report.example_count,
                report=report.model_dump(mode="json"),
            )
            return DatasetRead.of(dataset)
    except BaseException:
        storage.delete_dataset(dataset_id)
        raise


def _check_name(name: str | None) -> str:
    if name is None:
        raise Invalid("The dataset needs a name: add `?name=...` or the header `X-Dataset-Name`.", field="name")
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        problems = [{**problem, "loc": ("query", "name")} for problem in error.errors()]
        raise RequestValidationError(problems) from None


def _read_axes(text: str) -> Axes:
    try:
        return Axes(tuple(name.strip() for name in text.split(",")))
    except ValueError as error:
        raise Invalid(f"The axes can't be used: {error}.", field="axes") from None
