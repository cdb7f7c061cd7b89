"""Wire models of uploads in parts."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.base import Name
from jobs.models import Upload


class UploadCreate(BaseModel):
    """A dataset to upload in parts."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "support chats", "size_bytes": 734_003_200}]}
    )

    name: Name = Field(description="Name of the dataset, for people.")
    axes: str | None = Field(
        None, max_length=4096, description="Your own axes in place of the default ones, such as `COLD_WARM,SHY_BOLD`."
    )
    mapping: str | dict[str, Any] | None = Field(
        None, description="For files with texts and labels: the name of a preset, or a mapping (docs/data-format.md)."
    )
    size_bytes: int | None = Field(
        None, ge=0, strict=True, description="Size of the complete file, checked on completion."
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{64}$",
        description="Digest of the complete file in lower-case hex, checked on completion.",
    )

    @property
    def mapping_text(self) -> str | None:
        """The mapping as text, as `POST /datasets?mapping=` takes it."""
        return json.dumps(self.mapping) if isinstance(self.mapping, dict) else self.mapping


class PartRead(BaseModel):
    """A part that has been received."""

    model_config = ConfigDict(frozen=True)

    number: int
    size_bytes: int


class UploadRead(BaseModel):
    """A dataset that is uploaded in parts, and its progress."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    axes: list[str]
    size_bytes: int | None
    sha256: str | None
    received_bytes: int
    parts: list[PartRead] = Field(description="The received parts by number; empty once the upload is complete.")
    created_at: datetime
    expires_at: datetime
    dataset_id: str | None = Field(description="The dataset made of the upload; null until it is complete.")

    @classmethod
    def of(cls, upload: Upload, parts: Mapping[int, int]) -> "UploadRead":
        return cls(
            id=upload.id,
            name=upload.name,
            axes=upload.axes,
            size_bytes=upload.size_bytes,
            sha256=upload.sha256,
            received_bytes=sum(parts.values()),
            parts=[PartRead(number=number, size_bytes=size) for number, size in parts.items()],
            created_at=upload.created_at,
            expires_at=upload.expires_at,
            dataset_id=upload.dataset_id,
        )
