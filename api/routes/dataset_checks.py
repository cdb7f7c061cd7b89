"""Checking a dataset without keeping it."""

from typing import Any

from fastapi import APIRouter, Request

from api.access import CallerDep
from api.deps import SettingsDep, StorageDep
from api.errors import error_responses
from api.intake.keeping import AxesQuery, MappingQuery, read_reading
from api.intake.stream import open_intake, open_stream, take_in
from emomodel.data.dataset_report import DatasetReport
from jobs.errors import DatasetInvalid

router = APIRouter(tags=["datasets"], responses=error_responses(401))

_BINARY = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "What `POST /datasets` takes.",
        "content": {
            "application/jsonl": {"schema": _BINARY},
            "text/csv": {"schema": _BINARY},
            "application/octet-stream": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "contentMediaType": "application/jsonl"}},
                }
            },
        },
    }
}


@router.post("/datasets:validate", openapi_extra=_BODY, responses=error_responses(400, 413, 415, 507))
async def validate_dataset(
    request: Request,
    caller: CallerDep,  # noqa: ARG001  # only a key's owner may make the service work
    storage: StorageDep,
    settings: SettingsDep,
    axes: AxesQuery = None,
    mapping: MappingQuery = None,
) -> DatasetReport:
    """Return the report that the upload of a file would get. Nothing is stored. With `problem_count` 0 it is valid."""
    reading = read_reading(axes, mapping)
    stream = open_stream(request, settings)
    storage.check_free(settings.min_free_disk_bytes)
    with open_intake(storage) as intake:
        try:
            report, _ = await take_in(stream, intake, reading, settings)
        except DatasetInvalid as error:
            report = DatasetReport.model_validate(error.report)
    return report
