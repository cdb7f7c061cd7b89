"""Wire models of runs, and of the error of a run or job."""

from datetime import datetime

from pydantic import Field

from api.schemas.base import Read
from jobs.models import Run
from jobs.runs.failure_codes import find_advice
from jobs.status import RunCause


class JobError(Read):
    """Why a job failed."""

    code: str = Field(description="A code from docs/errors.md.")
    message: str = Field(description="What happened.")
    advice: str | None = Field(description="What to change.")
    log: list[str] = Field(description="The last lines that the training process wrote to its log.")

    @classmethod
    def find(cls, code: str | None, message: str | None, log: list[str] | None = None) -> "JobError | None":
        """Make the error of a run or job, or return None without a code."""
        if code is None:
            return None
        return cls(code=code, message=message or "", advice=find_advice(code), log=log or [])


class RunRead(Read):
    """One attempt at a job."""

    attempt: int
    slot: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None = Field(description="The job's status after it; null while it runs.")
    cause: RunCause | None = Field(
        description="Why the job continued after it: `crash` counts towards the limit, `interruption` does not."
    )
    error: JobError | None
    exit_code: int | None = Field(description="Exit code of the training process; negative for a signal.")
    resumed_step: int | None = Field(description="The step of the checkpoint that it resumed from; null for none.")
    peak_gpu_bytes: int | None
    peak_host_bytes: int | None

    @classmethod
    def of(cls, run: Run) -> "RunRead":
        return cls(
            attempt=run.attempt,
            slot=run.slot,
            started_at=run.started_at,
            ended_at=run.ended_at,
            outcome=run.outcome,
            cause=run.cause,
            error=JobError.find(run.error_code, run.error_message),
            exit_code=run.exit_code,
            resumed_step=run.resumed_step,
            peak_gpu_bytes=run.peak_gpu_bytes,
            peak_host_bytes=run.peak_host_bytes,
        )
