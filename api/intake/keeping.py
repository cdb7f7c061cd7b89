"""Reads the name, axes and mapping of an upload strictly, and stores its file with its row."""

from typing import Annotated

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from api.intake.stream import Reading
from api.schemas.base import Name
from api.schemas.datasets import DatasetRead
from emomodel.data.dataset_report import DatasetReport
from emomodel.data.formats.mapping import MappingError, read_mapping
from emomodel.emotions import DEFAULT_AXES, Axes
from jobs.data import datasets, uploads
from jobs.database.engine import Database
from jobs.errors import Invalid
from jobs.files.content import IncomingFile
from jobs.files.storage import Storage
from jobs.ids import new_id

AxesQuery = Annotated[
    str | None,
    Query(description="Your own axes in place of the default ones, such as `COLD_WARM,SHY_BOLD`: 2 to 64."),
]
MappingQuery = Annotated[
    str | None,
    Query(
        description="For files with texts and labels in place of chats: the name of a preset (`goemotions`) or a "
        "mapping as JSON (docs/data-format.md)."
    ),
]

_NAME: TypeAdapter[str] = TypeAdapter(Name)


def check_name(name: str | None) -> str:
    if name is None:
        raise Invalid("The dataset needs a name: add `?name=...` or the header `X-Dataset-Name`.", field="name")
    try:
        return _NAME.validate_python(name)
    except ValidationError as error:
        problems = [{**problem, "loc": ("query", "name")} for problem in error.errors()]
        raise RequestValidationError(problems) from None


def read_reading(axes: str | None, mapping: str | None) -> Reading:
    """Read the parameters `axes` and `mapping`. Raises Invalid."""
    file_axes = DEFAULT_AXES if axes is None else _read_axes(axes)
    if mapping is None:
        return Reading(file_axes)
    try:
        return Reading(file_axes, read_mapping(mapping, file_axes))
    except MappingError as error:
        raise Invalid(f"The mapping can't be used: {error}.", field="mapping") from None


def _read_axes(text: str) -> Axes:
    try:
        return Axes(tuple(name.strip() for name in text.split(",")))
    except ValueError as error:
        raise Invalid(f"The axes can't be used: {error}.", field="axes") from None


def keep(
    database: Database,
    storage: Storage,
    file: IncomingFile,
    *,
    team_id: str,
    name: str,
    axes: Axes,
    report: DatasetReport,
    upload_id: str | None = None,
) -> DatasetRead:
    """Store the file, then the row that points at it; if the row can't be written, the file is deleted again.

    Raises UploadCompleted when another request has completed the upload meanwhile.
    """
    dataset_id = new_id("ds")
    with database.read() as session:
        twin_id = datasets.find_twin(session, team_id=team_id, sha256=file.sha256)
    storage.put_dataset(dataset_id, file, twin_id=twin_id)
    try:
        with database.write() as session:
            dataset = datasets.add_dataset(
                session,
                dataset_id=dataset_id,
                team_id=team_id,
                name=name,
                size_bytes=file.size_bytes,
                sha256=file.sha256,
                axes=list(axes),
                example_count=report.example_count,
                report=report.model_dump(mode="json"),
            )
            if upload_id is not None:
                uploads.complete_upload(session, upload_id=upload_id, dataset_id=dataset_id)
            return DatasetRead.of(dataset)
    except BaseException:
        storage.delete_dataset(dataset_id)
        raise
