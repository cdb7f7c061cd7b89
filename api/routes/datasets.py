"""Datasets: upload, list, get, download, delete."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any
from urllib.parse import unquote

from anyio import to_thread
from fastapi import APIRouter, BackgroundTasks, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.access import CallerDep
from api.answers.downloads import LINKED, make_file_response
from api.deps import DEFAULT_PAGE_LENGTH, DatabaseDep, DatasetIdPath, PageCursor, PageLength, SettingsDep, StorageDep
from api.errors import error_responses
from api.intake.keeping import AxesQuery, MappingQuery, check_name, keep, read_reading
from api.intake.stream import is_form, open_intake, open_stream, take_in
from api.schemas.base import Page
from api.schemas.datasets import DatasetRead
from emomodel.data.formats.exporting import ExportFormat, export
from emomodel.emotions import Axes
from jobs.data import datasets

router = APIRouter(tags=["datasets"], responses=error_responses(401))

_LINE = (
    '{"messages": [{"role": "user", "content": "How was it?"}, '
    '{"role": "assistant", "content": "<emo joy=0.9>Great!</emo>"}]}\n'
)
_BINARY = {"type": "string", "format": "binary"}
_MEDIA_TYPES: dict[ExportFormat, str] = {
    "jsonl": "application/jsonl",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            media_type: {"schema": {"type": "array"} if name == "json" else {"type": "string"}}
            for name, media_type in _MEDIA_TYPES.items()
        },
    },
    206: {"description": "The part that `Range` asks for"},
    304: {"description": "`If-None-Match` names this file: nothing has changed"},
    307: LINKED,
    **error_responses(404, 416),
}
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "JSON Lines, a JSON array, CSV or Parquet (docs/data-format.md), plain or as a gzip or zstd "
        "file; as the body or as a form's `file`.",
        "content": {
            "application/jsonl": {"schema": _BINARY, "example": _LINE},
            "text/csv": {"schema": _BINARY},
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
    name: Annotated[str | None, Query(description="For people; takes precedence over the header and the form.")] = None,
    x_dataset_name: Annotated[
        str | None, Header(alias="X-Dataset-Name", description="The name, percent-encoded UTF-8.")
    ] = None,
    axes: AxesQuery = None,
    mapping: MappingQuery = None,
) -> DatasetRead:
    """Upload a dataset. It is validated while it arrives. A file with bad lines is refused, with a report of them."""
    given_name = name or (unquote(x_dataset_name) if x_dataset_name else None)
    if given_name is not None or not is_form(request):
        given_name = check_name(given_name)
    reading = read_reading(axes, mapping)
    stream = open_stream(request, settings)
    storage.check_free(settings.min_free_disk_bytes)
    with open_intake(storage) as intake:
        report, file = await take_in(stream, intake, reading, settings)
        kept_name = given_name or check_name(stream.name)
        keep_file = partial(keep, team_id=caller.team_id, name=kept_name, axes=reading.axes, report=report)
        dataset = await to_thread.run_sync(keep_file, database, storage, file)
    response.headers["Location"] = f"/datasets/{dataset.id}"
    return dataset


@router.get("/datasets")
def list_datasets(
    caller: CallerDep, database: DatabaseDep, cursor: PageCursor = None, limit: PageLength = DEFAULT_PAGE_LENGTH
) -> Page[DatasetRead]:
    """List your team's datasets, newest first, without their reports."""
    with database.read() as session:
        page = datasets.list_datasets(session, team_id=caller.team_id, cursor=cursor, limit=limit)
        items = [DatasetRead.of(dataset, with_report=False) for dataset in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.get("/datasets/{dataset_id}", responses=error_responses(404))
def get_dataset(dataset_id: DatasetIdPath, caller: CallerDep, database: DatabaseDep) -> DatasetRead:
    """Return a dataset with its report."""
    with database.read() as session:
        return DatasetRead.of(datasets.get_dataset(session, team_id=caller.team_id, dataset_id=dataset_id))


@router.head("/datasets/{dataset_id}/file", include_in_schema=False, name="head_dataset_file")
@router.get("/datasets/{dataset_id}/file", response_class=Response, responses=_DOWNLOAD)
def download_dataset(
    dataset_id: DatasetIdPath,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    request: Request,
    file_format: Annotated[
        ExportFormat,
        Query(alias="format", description="All but `jsonl` are made while they are sent, without `Range`."),
    ] = "jsonl",
) -> Response:
    """Download the dataset as the stored JSON Lines, or printed in its normal form in another format."""
    with database.read() as session:
        dataset = datasets.get_dataset(session, team_id=caller.team_id, dataset_id=dataset_id)
    media_type, filename = _MEDIA_TYPES[file_format], f"{dataset_id}.{file_format}"
    if file_format == "jsonl":
        return make_file_response(
            request,
            storage.open_dataset(dataset_id),
            size_bytes=dataset.size_bytes,
            sha256=dataset.sha256,
            media_type=media_type,
            filename=filename,
            link_seconds=settings.storage_link_seconds,
        )
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    # Made while it is sent, so that its length is not known before.
    pieces: Iterator[bytes] = iter(())
    if request.method != "HEAD":
        pieces = export(storage.fetch_dataset(dataset_id), Axes(tuple(dataset.axes)), file_format)
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


@router.delete("/datasets/{dataset_id}", status_code=204, responses=error_responses(404, 409))
def delete_dataset(
    dataset_id: DatasetIdPath, caller: CallerDep, database: DatabaseDep, storage: StorageDep, tasks: BackgroundTasks
) -> None:
    """Delete a dataset that no waiting or running job uses. Jobs that have ended keep its name and sha256."""
    with database.write() as session:
        datasets.delete_dataset(session, team_id=caller.team_id, dataset_id=dataset_id)
    # After the commit: a row must never point at a file that is gone.
    tasks.add_task(storage.delete_dataset, dataset_id)
