"""The artifacts of a job: list and download."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from api.access import CallerDep
from api.answers import etags
from api.answers.downloads import LINKED, make_file_response
from api.deps import DatabaseDep, JobIdPath, SettingsDep, StorageDep
from api.errors import error_responses
from api.schemas.artifacts import ArtifactRead
from api.schemas.base import Items
from jobs import records
from jobs.access.teams import Caller
from jobs.database.engine import Database
from jobs.files.storage import Storage
from jobs.settings import Settings

router = APIRouter(tags=["artifacts"], responses=error_responses(401, 404))


_BINARY = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
_HEADERS = {
    "ETag": {"description": "The sha256, in quotes.", "schema": {"type": "string"}},
    "Repr-Digest": {"description": "The sha256 of the complete file (RFC 9530).", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "The file's name.", "schema": {"type": "string"}},
}
_DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": _BINARY, "headers": _HEADERS},
    206: {"description": "The part that `Range` asked for", "content": _BINARY, "headers": _HEADERS},
    304: {"description": "`If-None-Match` names this file: nothing has changed"},
    307: LINKED,
    **error_responses(410, 416),
}

ArtifactKind = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="`kind` of an artifact of the job.")]


@router.get("/jobs/{job_id}/artifacts", response_model=Items[ArtifactRead], responses=etags.TAGGED)
def list_artifacts(request: Request, job_id: JobIdPath, caller: CallerDep, database: DatabaseDep) -> Response:
    """List the job's artifacts so far."""
    with database.read() as session:
        records.get_job(session, team_id=caller.team_id, job_id=job_id)
        artifacts = records.list_artifacts(session, job_id=job_id)
        answer = Items[ArtifactRead](items=[ArtifactRead.of(artifact) for artifact in artifacts])
    return etags.answer(request, answer)


@router.head("/jobs/{job_id}/artifacts/{kind}", include_in_schema=False, name="head_artifact")
@router.get("/jobs/{job_id}/artifacts/{kind}", response_class=Response, responses=_DOWNLOAD)
def download_artifact(
    job_id: JobIdPath,
    kind: ArtifactKind,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    request: Request,
) -> Response:
    """Download an artifact, complete or in parts (`Range`); `HEAD` returns its headers only."""
    return _download(request, database, storage, settings, caller, job_id, kind)


@router.head("/jobs/{job_id}/bundle", include_in_schema=False, name="head_bundle")
@router.get("/jobs/{job_id}/bundle", response_class=Response, responses=_DOWNLOAD)
def download_bundle(
    job_id: JobIdPath,
    caller: CallerDep,
    database: DatabaseDep,
    storage: StorageDep,
    settings: SettingsDep,
    request: Request,
) -> Response:
    """Download the artifact `bundle`: adapter, emotion projection, tokenizer and `bundle.json` as one zip."""
    return _download(request, database, storage, settings, caller, job_id, records.BUNDLE_KIND)


def _download(
    request: Request,
    database: Database,
    storage: Storage,
    settings: Settings,
    caller: Caller,
    job_id: str,
    kind: str,
) -> Response:
    with database.read() as session:
        records.get_job(session, team_id=caller.team_id, job_id=job_id)
        artifact = ArtifactRead.of(records.get_artifact(session, job_id=job_id, kind=kind))
    return make_file_response(
        request,
        storage.open_artifact(job_id, artifact.filename),
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        media_type=artifact.media_type,
        filename=artifact.filename,
        link_seconds=settings.storage_link_seconds,
    )
