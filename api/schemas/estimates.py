"""Wire models of estimates: what a job would take."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.base import Read
from jobs.posting.estimates import JobEstimate
from jobs.posting.memory import Lack


class JobEstimateRead(Read):
    """What a job would take. Times are no promise: `speed_source` says what they come from."""

    device: str = Field(description="`cuda` where such a slot is known or needed, else `cpu`.")
    example_count: int
    token_count: int = Field(description="Of the whole training, without padding, from the dataset's characters.")
    step_count: int
    memory: dict[str, int] | None = Field(
        description="Bytes at the peak by what they are for (docs/memory.md); null where the model's sizes are unknown."
    )
    peak_memory_bytes: int | None
    fits: bool | None = Field(description="Whether some slot has the memory; null where that isn't known.")
    advice: str | None = Field(description="Where it doesn't fit: what would.")
    changes: list[dict[str, Any]] = Field(
        description="For programs: changes of `config`, each of which alone makes it fit; the cheapest first."
    )
    train_seconds: float
    total_seconds: float = Field(description="With loading, compiling and saving.")
    speed_source: str = Field(
        description="`like_jobs`: jobs with the same base model and settings that ran here; `same_base_model`; "
        "`arithmetic`: nothing like it has run here, so this may be far off."
    )
    queue_position: int | None = Field(description="Null where your team's quotas would give it no turn.")
    starts_at: datetime | None = Field(description="Null where it has no turn, or no open slot could run it.")
    ends_at: datetime | None

    @classmethod
    def of(cls, found: JobEstimate, *, lack: Lack | None) -> "JobEstimateRead":
        work = found.work
        return cls(
            device=work.device,
            example_count=work.example_count,
            token_count=work.token_count,
            step_count=work.step_count,
            memory=work.memory,
            peak_memory_bytes=work.peak_memory_bytes,
            fits=None if work.memory is None else lack is None,
            advice=lack.message if lack else None,
            changes=[dict(change) for change in lack.changes] if lack else [],
            train_seconds=work.train_seconds,
            total_seconds=work.total_seconds,
            speed_source=work.speed_source,
            queue_position=found.queue_position,
            starts_at=found.starts_at,
            ends_at=found.ends_at,
        )
