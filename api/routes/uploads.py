"""Uploads: a dataset in parts, for unreliable connections."""

import base64
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, BackgroundTasks, Header, Request, Response
from fastapi import Path as PathParameter
from starlette.concurrency import iterate_in_threadpool

from api.access import CallerDep
from api.deps import DEFAULT_PAGE_LENGTH, DatabaseDep, PageCursor, PageLength, SettingsDep, StorageDep
from api.errors import error_responses
from api.intake.keeping import keep, read_reading
from api.intake.stream import RawStream, in_pieces, open_intake, refuse_encoding, take_in
from api.middleware import lift_body_limit
from api.schemas.base import Page
from api.schemas.datasets import DatasetRead
from api.schemas.uploads import PartRead, UploadCreate, UploadRead
from jobs.data import datasets, uploads
from jobs.data.uploads import MAX_PARTS
from jobs.database.engine import Database
from jobs.errors import DigestMismatch, Invalid, UploadCompleted
from jobs.files.storage import Storage
from jobs.models import Upload

# The API's documentation lists them with the datasets.
router = APIRouter(tags=["datasets"], responses=error_responses(401))

UploadIdPath = Annotated[str, PathParameter(pattern=r"^up_[0-9a-z]{26}$", description="Id of an upload of your team.")]
PartNumber = Annotated[int, PathParameter(ge=1, le=MAX_PARTS, description="The part's place in the file, from 1.")]

_SHA256_DIGEST = re.compile(r"sha-256=(?::([A-Za-z0-9+/]{43}=):)?")
_BINARY = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}}


class PartsStream:
    """The file that the parts make, one after another. `parts` has the size in bytes of each by its number."""

    name: str | None = None

    def __init__(self, storage: Storage, upload_id: str, parts: Mapping[int, int]) -> None:
        self._storage = storage
        self._upload_id = upload_id
        self._parts = parts

    async def read(self) -> AsyncIterator[bytes]:
        for number, size_bytes in self._parts.items():
            async for piece in iterate_in_threadpool(self._storage.read_part(self._upload_id, number, size_bytes)):
                yield piece


@router.post("/uploads", status_code=201, responses=error_responses(400, 409, 413, 507))
def create_upload(
    body: UploadCreate,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    response: Response,
) -> UploadRead:
    """Begin the upload of a dataset in parts. It expires, with its parts, when it is not completed in time."""
    reading = read_reading(body.axes, body.mapping_text)
    uploads.check_room(body.size_bytes or 0, settings.max_dataset_bytes)
    storage.check_free(settings.min_free_disk_bytes)
    with database.write() as session:
        upload = uploads.create_upload(
            session,
            team_id=caller.team_id,
            name=body.name,
            axes=list(reading.axes),
            mapping=body.mapping_text,
            size_bytes=body.size_bytes,
            sha256=body.sha256,
            expire_seconds=settings.upload_seconds,
        )
        answer = UploadRead.of(upload, {})
    response.headers["Location"] = f"/uploads/{answer.id}"
    return answer


@router.get("/uploads")
def list_uploads(
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    cursor: PageCursor = None,
    limit: PageLength = DEFAULT_PAGE_LENGTH,
) -> Page[UploadRead]:
    """List your team's uploads that have not expired, newest first."""
    with database.read() as session:
        page = uploads.list_uploads(session, team_id=caller.team_id, cursor=cursor, limit=limit)
        items = [UploadRead.of(upload, storage.list_parts(upload.id)) for upload in page.items]
    return Page(items=items, next_cursor=page.next_cursor)


@router.get("/uploads/{upload_id}", responses=error_responses(404))
def get_upload(upload_id: UploadIdPath, caller: CallerDep, database: DatabaseDep, storage: StorageDep) -> UploadRead:
    """Return an upload and the parts that have been received."""
    with database.read() as session:
        upload = uploads.get_upload(session, team_id=caller.team_id, upload_id=upload_id)
        return UploadRead.of(upload, storage.list_parts(upload_id))


@router.put(
    "/uploads/{upload_id}/parts/{number}",
    openapi_extra=_BINARY,
    responses=error_responses(404, 409, 413, 415, 507),
)
async def put_part(
    upload_id: UploadIdPath,
    number: PartNumber,
    request: Request,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    content_digest: Annotated[
        str | None, Header(description="`sha-256=:BASE64:` (RFC 9530). A part with another digest is refused.")
    ] = None,
) -> PartRead:
    """Send one part, of any size and in any order. It replaces an earlier part with the same number."""
    refuse_encoding(request)
    expected = _find_digest(content_digest or "")
    storage.check_free(settings.min_free_disk_bytes)

    count_used = partial(_count_other_bytes, database, storage, caller.team_id, upload_id, number)
    used_bytes = await to_thread.run_sync(count_used)
    lift_body_limit(request)
    with storage.receive() as incoming:
        async for piece in in_pieces(RawStream(request).read()):
            uploads.check_room(used_bytes + incoming.size_bytes + len(piece), settings.max_dataset_bytes)
            await to_thread.run_sync(incoming.write, piece)
        if expected is not None and incoming.sha256 != expected:
            raise DigestMismatch(
                f"Part {number} arrived with the sha256 {incoming.sha256}, not {expected}. Send it again.",
                field="Content-Digest",
            )
        # Meanwhile other requests may have added parts, or deleted the upload.
        used_bytes = await to_thread.run_sync(count_used)
        uploads.check_room(used_bytes + incoming.size_bytes, settings.max_dataset_bytes)
        await to_thread.run_sync(storage.put_part, upload_id, number, incoming)
    return PartRead(number=number, size_bytes=incoming.size_bytes)


@router.post("/uploads/{upload_id}/complete", status_code=201, responses=error_responses(400, 404, 409, 413, 507))
async def complete_upload(
    upload_id: UploadIdPath,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    tasks: BackgroundTasks,
    response: Response,
) -> DatasetRead:
    """Make a dataset of the parts, validated as by `POST /datasets`. Parts with bad lines stay, to be replaced.

    After success, repeating the call returns the same dataset.
    """

    def read_dataset() -> DatasetRead:
        with database.read() as session:
            upload = uploads.get_upload(session, team_id=caller.team_id, upload_id=upload_id)
            dataset_id = upload.dataset_id or ""
            return DatasetRead.of(datasets.get_dataset(session, team_id=caller.team_id, dataset_id=dataset_id))

    try:
        dataset = await _complete(upload_id, caller.team_id, database, storage, settings)
    except UploadCompleted:
        dataset = await to_thread.run_sync(read_dataset)
    # After the commit: until then another attempt may need the parts.
    tasks.add_task(storage.delete_upload, upload_id)
    response.headers["Location"] = f"/datasets/{dataset.id}"
    return dataset


@router.delete("/uploads/{upload_id}", status_code=204, responses=error_responses(404))
def delete_upload(
    upload_id: UploadIdPath, caller: CallerDep, database: DatabaseDep, storage: StorageDep, tasks: BackgroundTasks
) -> None:
    """Delete an upload with its parts. A dataset that was made of it stays."""
    with database.write() as session:
        uploads.delete_upload(session, team_id=caller.team_id, upload_id=upload_id)
    tasks.add_task(storage.delete_upload, upload_id)


def _count_other_bytes(database: Database, storage: Storage, team_id: str, upload_id: str, number: int) -> int:
    """Count the bytes of all parts of the team but this one. Raises UploadNotFound and UploadCompleted."""
    with database.read() as session:
        uploads.get_open_upload(session, team_id=team_id, upload_id=upload_id)
        open_ids = uploads.list_open_ids(session, team_id=team_id)
    used = sum(sum(storage.list_parts(open_id).values()) for open_id in open_ids)
    return used - storage.list_parts(upload_id).get(number, 0)


async def _complete(
    upload_id: str, team_id: str, database: DatabaseDep, storage: StorageDep, settings: SettingsDep
) -> DatasetRead:
    """Make the dataset. Raises UploadCompleted, UploadIncomplete, and what take_in raises."""

    def check() -> tuple[Upload, dict[int, int]]:
        with database.read() as session:
            upload = uploads.get_open_upload(session, team_id=team_id, upload_id=upload_id)
        parts = storage.list_parts(upload_id)
        uploads.check_parts(upload, parts)
        return upload, parts

    upload, parts = await to_thread.run_sync(check)
    reading = read_reading(",".join(upload.axes), upload.mapping)
    storage.check_free(settings.min_free_disk_bytes)
    with open_intake(storage) as intake:
        report, file = await take_in(
            PartsStream(storage, upload_id, parts), intake, reading, settings, sha256=upload.sha256
        )

        keep_file = partial(
            keep, team_id=team_id, name=upload.name, axes=reading.axes, report=report, upload_id=upload_id
        )
        return await to_thread.run_sync(keep_file, database, storage, file)


def _find_digest(header: str) -> str | None:
    """Return the header's sha256 in hex, or None: other digests are ignored (RFC 9530). Raises Invalid."""
    match = _SHA256_DIGEST.search(header)
    if match is None:
        return None
    if match[1] is None:
        raise Invalid("`Content-Digest` should be `sha-256=:BASE64:`, the digest in base64.", field="Content-Digest")
    return base64.b64decode(match[1]).hex()
