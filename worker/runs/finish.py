"""The end of a run: stores what it made, writes its rows and clears its folder."""

import errno
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from emomodel.bundles.manifest import BundleError
from emomodel.config import halve_batch
from jobs.errors import RunFenced, StorageUnreachable
from jobs.files import leftovers
from jobs.models import Artifact
from jobs.posting.estimates import describe_error
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus
from worker.runs.outcome import (
    CUDA_OUT_OF_MEMORY,
    Cancelled,
    Crashed,
    Failed,
    Interrupted,
    Lost,
    Outcome,
    Succeeded,
    TooLarge,
)
from worker.runs.outputs import store_bundle, store_traces, withdraw_artifacts
from worker.runs.request_file import make_config
from worker.runs.run import ClaimedRun
from worker.runs.spans import note_break, note_outcome

log = structlog.get_logger()


def finish(run: ClaimedRun, outcome: Outcome, end: RunEnd) -> JobStatus:
    """Store what the run made, then write its rows; return the job's new status. Raises RunFenced."""
    name = type(outcome).__name__.lower()
    note_outcome(name, code=outcome.code if isinstance(outcome, Failed | Crashed) else None)
    log.info("run_ends", outcome=name)
    match outcome:
        case Lost():
            raise RunFenced
        case Succeeded():
            return _succeed(run, outcome, end)
        case Failed():
            end = replace(end, code=outcome.code, message=outcome.message)
            return _record(run, run_ends.fail, end=end, artifacts=_store_traces(run))
        case Crashed():
            return _crash(run, replace(end, code=outcome.code, message=outcome.message))
        case Cancelled():
            return _record(run, run_ends.confirm_cancel, end=end, artifacts=_store_traces(run))
        case Interrupted():
            return _record(run, run_ends.interrupt, end=end, message=outcome.why)
        case TooLarge():
            return _retry_smaller(run, outcome, end)


def clear(run: ClaimedRun, status: JobStatus) -> None:
    """Clear the run's folder, but keep the checkpoints of a job that continues, and the results of one that ended."""
    storage = run.resources.storage
    if status.is_final:
        leftovers.clear_run_folders(storage, run.job.id)
    else:
        leftovers.clear_run_folder(storage, run.job.id, run.job.attempt, keeps_checkpoints=True)
        # No row names these artifacts, as the job has not ended yet.
        withdraw_artifacts(storage, job_id=run.job.id, attempt=run.job.attempt)


def break_off(run: ClaimedRun, error: Exception) -> JobStatus:
    """End the run when the worker itself failed: write the reason, but no file. Raises RunFenced."""
    note_break(error)
    if isinstance(error, StorageUnreachable):
        # Not the job's fault, and the slot takes no other job before the store is back.
        return _record(run, run_ends.interrupt, end=RunEnd(), message=error.message.rstrip("."))
    is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    message = "The worker's disk is full." if is_full else f"The worker failed: {type(error).__name__}: {error}."
    end = RunEnd(code="disk_full" if is_full else "worker_error", message=message.replace("\x00", ""))
    return _record(run, run_ends.crash, end=end, max_crashes=run.resources.settings.max_crashes)


def _succeed(run: ClaimedRun, outcome: Succeeded, end: RunEnd) -> JobStatus:
    result = outcome.result
    message = f"{result.step_count} steps in {result.train_seconds:.0f} s; last loss {result.final_loss:.4f}."
    message += describe_error(
        run.job.estimate, train_seconds=result.train_seconds, peak_memory_bytes=result.peak_memory_bytes
    )
    try:
        with run.resources.tracing.span("run.bundle"):
            bundle = store_bundle(run.resources.storage, run.folder, job_id=run.job.id, attempt=run.job.attempt)
    except BundleError as error:
        message = f"The training process left no complete bundle: {error}."
        return _crash(run, replace(end, code="bundle_invalid", message=message))
    return _record(
        run,
        run_ends.succeed,
        end=replace(end, log=()),
        artifacts=[bundle, *_store_traces(run)],
        message=message,
        result=result.model_dump(exclude={"type"}),
    )


def _crash(run: ClaimedRun, end: RunEnd) -> JobStatus:
    return _record(
        run,
        run_ends.crash,
        end=end,
        max_crashes=run.resources.settings.max_crashes,
        artifacts=_store_traces(run),
    )


def _retry_smaller(run: ClaimedRun, outcome: TooLarge, end: RunEnd) -> JobStatus:
    config = halve_batch(make_config(run.job))
    assert config is not None  # noqa: S101 - TooLarge says that it can be halved
    message = (
        f"The GPU's memory was full. The job starts again with a batch_size of {config.batch_size} and a "
        f"gradient_accumulation of {config.gradient_accumulation}, which it allows (auto_batch)."
    )
    run.checkpoints.delete_all()
    end = replace(end, code=CUDA_OUT_OF_MEMORY, message=outcome.message)
    return _record(run, run_ends.retry_smaller, end=end, message=message)


def _record(run: ClaimedRun, verb: Callable[..., JobStatus], **values: object) -> JobStatus:
    return run.recorder.finish(partial(verb, job_id=run.job.id, attempt=run.job.attempt, **values))


def _store_traces(run: ClaimedRun) -> list[Artifact]:
    return store_traces(run.resources.storage, run.folder, job_id=run.job.id, attempt=run.job.attempt)
