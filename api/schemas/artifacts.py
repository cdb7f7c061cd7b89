"""Wire models of artifacts."""

from datetime import datetime

from api.schemas.base import Read
from jobs.models import Artifact


class ArtifactRead(Read):
    """A stored output of a job. `GET /jobs/{job_id}/artifacts/{kind}` downloads it."""

    kind: str
    filename: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: datetime

    @classmethod
    def of(cls, artifact: Artifact) -> "ArtifactRead":
        return cls(
            kind=artifact.kind,
            filename=artifact.filename,
            media_type=artifact.media_type,
            size_bytes=artifact.size_bytes,
            sha256=artifact.sha256,
            created_at=artifact.created_at,
        )
