"""Uploads: datasets that are sent in parts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from jobs.clock import utc_now
from jobs.database.pages import Page, read_page
from jobs.errors import DatasetTooLarge, UploadCompleted, UploadIncomplete, UploadNotFound, UploadsTooMany
from jobs.models import Team, Upload

MAX_PARTS = 10_000
# Open uploads of one team: enough for mistakes and for parallel clients. Each keeps files until it expires.
MAX_OPEN_UPLOADS = 20
# How many missing parts an error names.
_LISTED_PARTS = 10


def create_upload(
    session: Session,
    *,
    team_id: str,
    name: str,
    axes: list[str],
    mapping: str | None,
    size_bytes: int | None,
    sha256: str | None,
    expire_seconds: float,
) -> Upload:
    """Start an upload. Raises UploadsTooMany."""
    if len(list_open_ids(session, team_id=team_id)) >= MAX_OPEN_UPLOADS:
        raise UploadsTooMany
    now = utc_now()
    upload = Upload(
        team_id=team_id,
        name=name,
        axes=axes,
        mapping=mapping,
        size_bytes=size_bytes,
        sha256=sha256,
        created_at=now,
        expires_at=now + timedelta(seconds=expire_seconds),
    )
    session.add(upload)
    session.flush()
    return upload


def get_upload(session: Session, *, team_id: str, upload_id: str) -> Upload:
    """The team's upload with this id.

    Raises UploadNotFound, also for an upload of another team, and for one that has expired but is not deleted yet.
    """
    statement = select(Upload).where(Upload.team_id == team_id, Upload.id == upload_id, Upload.expires_at > utc_now())
    upload = session.scalar(statement)
    if upload is None:
        raise UploadNotFound
    return upload


def get_open_upload(session: Session, *, team_id: str, upload_id: str) -> Upload:
    """The team's upload with this id, which still accepts parts. Raises UploadNotFound and UploadCompleted."""
    upload = get_upload(session, team_id=team_id, upload_id=upload_id)
    if upload.dataset_id is not None:
        raise UploadCompleted
    return upload


def list_uploads(session: Session, *, team_id: str, cursor: str | None, limit: int) -> Page[Upload]:
    """A page of the team's uploads that have not expired, newest first, completed ones included."""
    statement = select(Upload).where(Upload.team_id == team_id, Upload.expires_at > utc_now())
    return read_page(session, statement, Upload, cursor=cursor, limit=limit)


def list_open_ids(session: Session, *, team_id: str) -> list[str]:
    """The team's uploads that are neither complete nor expired."""
    statement = select(Upload.id).where(
        Upload.team_id == team_id, Upload.dataset_id.is_(None), Upload.expires_at > utc_now()
    )
    return list(session.scalars(statement))


def check_parts(upload: Upload, parts: Mapping[int, int]) -> None:
    """Check that the parts make up the complete file. Raises UploadIncomplete.

    `sizes` has the size of each part in bytes by its number.
    """
    if not parts:
        raise UploadIncomplete("No part has arrived. Send the file's parts, numbered from 1.")
    missing = [number for number in range(1, max(parts)) if number not in parts]
    if missing:
        listed = ", ".join(map(str, missing[:_LISTED_PARTS])) + (", ..." if len(missing) > _LISTED_PARTS else "")
        raise UploadIncomplete(f"{len(missing)} parts before the last one are missing: {listed}. Send them.")
    received_bytes = sum(parts.values())
    if upload.size_bytes is not None and received_bytes != upload.size_bytes:
        raise UploadIncomplete(
            f"The parts have {received_bytes} bytes, but the file was announced with {upload.size_bytes}. "
            "Send what is missing, or the parts again that are too long."
        )


def check_room(used_bytes: int, max_bytes: int) -> None:
    """Check the total size of the parts of a team's open uploads, in bytes. Raises DatasetTooLarge."""
    if used_bytes > max_bytes:
        raise DatasetTooLarge(
            f"Your team's unfinished uploads would exceed the {max_bytes} bytes that this installation accepts. "
            "Complete or delete some, split the dataset, or ask the operator to raise the limit."
        )


def complete_upload(session: Session, *, upload_id: str, dataset_id: str) -> None:
    """Record the dataset that the upload has become, once. A second call raises UploadCompleted.

    The error rolls the second dataset back.
    """
    statement = update(Upload).where(Upload.id == upload_id, Upload.dataset_id.is_(None)).values(dataset_id=dataset_id)
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    if result.rowcount == 0:
        raise UploadCompleted


def delete_upload(session: Session, *, team_id: str, upload_id: str) -> None:
    """Delete the row; the caller deletes the parts after the commit. Raises UploadNotFound."""
    session.delete(get_upload(session, team_id=team_id, upload_id=upload_id))


def delete_expired(session: Session) -> int:
    """Delete the rows of all teams' expired uploads; returns their number."""
    expired = session.scalar(select(func.count()).where(Upload.expires_at <= utc_now())) or 0
    session.execute(delete(Upload).where(Upload.expires_at <= utc_now()))
    return expired


def list_expired(session: Session) -> Sequence[tuple[str, str]]:
    """(id, name of the team) of all teams' expired uploads."""
    statement = select(Upload.id, Team.name).join(Team, Team.id == Upload.team_id).where(Upload.expires_at <= utc_now())
    return [(upload_id, team) for upload_id, team in session.execute(statement.order_by(Upload.id))]


def find_unfinished_ids(session: Session) -> set[str]:
    """The ids of all teams' uploads that still need their parts. Housekeeping deletes all other parts."""
    return set(session.scalars(select(Upload.id).where(Upload.dataset_id.is_(None))))
