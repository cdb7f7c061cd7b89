"""Wire models of estimates: what a job would take."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas.base import Read
from jobs.posting.estimates import JobEstimate
from jobs.posting.memory import Lack


class JobEstimateRead(Read):
    """Estimate of a job's time and memory. `speed_source` says what the times are based on."""

    device: str = Field(description="`cuda` where such a slot is known or needed, else `cpu`.")
    example_count: int
    token_count: int = Field(
        description="Tokens of the complete training without padding, derived from the dataset's characters."
    )
    step_count: int
    memory: dict[str, int] | None = Field(
        description="Bytes at the peak by their purpose (docs/memory.md); null where the model's sizes are unknown."
    )
    peak_memory_bytes: int | None
    fits: bool | None = Field(description="Whether some slot has enough memory; null where that is unknown.")
    advice: str | None = Field(description="Where the job does not fit: what to change.")
    changes: list[dict[str, Any]] = Field(
        description="For programs: changes of `config`, each of which alone makes the job fit; the cheapest first."
    )
    train_seconds: float
    total_seconds: float = Field(description="Including loading, compiling and saving.")
    speed_source: str = Field(
        description="`like_jobs`: jobs with the same base model and settings that ran here; `same_base_model`: jobs "
        "with the same base model; `arithmetic`: no similar job has run here, so this may be far off."
    )
    queue_position: int | None = Field(description="Null where your team's quotas would not let it start.")
    starts_at: datetime | None = Field(description="Null where it could not start, or no open slot could run it.")
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
