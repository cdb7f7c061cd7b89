"""One run: writes its request, starts its training process and supervises it to its end."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from emomodel.config import halve_batch
from jobs.errors import EmotuneError, StorageUnreachable
from jobs.files.storage import LOG_FILE, METRICS_FILE
from jobs.models import Job
from jobs.python_processes import make_python_argv
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from worker.resources import Resources
from worker.runs.checkpoints import RunCheckpoints
from worker.runs.configs import judge_config
from worker.runs.log import RunLog
from worker.runs.mirror import open_mirror
from worker.runs.missing_metrics import MissingMetrics
from worker.runs.outcome import Failed, Interrupted, Outcome, decide_outcome
from worker.runs.recorder import Recorder
from worker.runs.relay import Relay
from worker.runs.request_file import make_config, write_request
from worker.runs.spans import PhaseSpans
from worker.runs.supervisor import Ending, Grace, Limits, supervise
from worker.slot.lock import SlotLock
from worker.slot.oom import count_oom_kills
from worker.slot.sampler import Sampler, make_sampler
from worker.trainers.environment import make_slot_environment
from worker.trainers.starting import Trainers, start_trainer

# The request's path follows.
TRAINER_ARGV = tuple(make_python_argv("-m", "emomodel", "train", "--supervised"))


@dataclass(frozen=True)
class ClaimedRun:
    """A claimed job, and what its run works with."""

    resources: Resources
    job: Job
    folder: Path
    recorder: Recorder
    checkpoints: RunCheckpoints


def open_run(resources: Resources, job: Job, recorder: Recorder) -> ClaimedRun:
    storage, kept = resources.storage, resources.settings.checkpoints_kept
    return ClaimedRun(
        resources=resources,
        job=job,
        folder=storage.get_run_folder(job.id, job.attempt),
        recorder=recorder,
        checkpoints=RunCheckpoints(storage, job_id=job.id, attempt=job.attempt, kept=kept),
    )


def train(run: ClaimedRun, lock: SlotLock, trainers: Trainers) -> tuple[Outcome, RunEnd]:
    """Start the training process and supervise it to its end."""
    run.folder.mkdir(parents=True, exist_ok=True)
    prepared = _prepare(run)
    if not isinstance(prepared, Path):
        return prepared, RunEnd()
    oom_kills_before = count_oom_kills()
    with (
        RunLog(run.folder / LOG_FILE) as run_log,
        make_sampler(run.resources.settings.slot_device, run.resources.device) as sampler,
        _open_relay(run, sampler) as relay,
        _open_mirror(run),
    ):
        run_log.write_heading(_describe_run(run))
        ending = _supervise(run, prepared, run_log, relay, lock, trainers)
    was_out_of_memory = not ending.was_forced and count_oom_kills() > oom_kills_before
    outcome = decide_outcome(ending, was_out_of_memory=was_out_of_memory, can_halve_batch=_can_halve_batch(run))
    return outcome, _describe_end(run, ending, run_log)


def _prepare(run: ClaimedRun) -> Path | Failed | Interrupted:
    """Write the request and return its path, or return how the run ends before its process has begun."""
    unreadable = judge_config(run.job)
    if isinstance(unreadable, Interrupted):
        run.resources.slot_check.give_up(unreadable.why)
    if unreadable is not None:
        return unreadable
    try:
        return write_request(run.resources, run.job, run.folder, run.checkpoints)
    except StorageUnreachable as error:
        return Interrupted(error.message.rstrip("."))
    except EmotuneError as error:
        return Failed(error.code, error.message)


def _supervise(
    run: ClaimedRun, request_path: Path, run_log: RunLog, relay: Relay, lock: SlotLock, trainers: Trainers
) -> Ending:
    settings = run.resources.settings
    limits = Limits(_find_seconds_left(run), settings.silence_seconds)
    started = start_trainer(
        trainers,
        request_path,
        environment=make_slot_environment(run.resources),
        run_log=run_log,
        is_stopping=lambda: _is_stopping(run),
    )
    with started as trainer:
        lock.note_trainer(trainer.pid)
        ending = supervise(
            trainer,
            relay=relay,
            recorder=run.recorder,
            drain=run.resources.drain,
            grace=Grace(settings.stop_grace_seconds, settings.kill_grace_seconds),
            limits=limits,
            on_checkpoint=run.checkpoints.note_saved,
            on_phase=trainers.spares.note_phase,
        )
    lock.forget_trainer()
    return ending


def _is_stopping(run: ClaimedRun) -> bool:
    return run.resources.drain.is_requested or run.recorder.is_lost or run.recorder.stop is not None


def _open_relay(run: ClaimedRun, sampler: Sampler) -> Relay:
    return Relay(
        run.folder / METRICS_FILE,
        job_id=run.job.id,
        attempt=run.job.attempt,
        stream=run.resources.stream,
        recorder=run.recorder,
        sampler=sampler,
        phases=PhaseSpans(run.resources.tracing),
        find_missing=MissingMetrics(run.resources, run.job, run.checkpoints, run.recorder).find,
    )


def _open_mirror(run: ClaimedRun) -> AbstractContextManager[object]:
    return open_mirror(
        run.resources.storage,
        job_id=run.job.id,
        attempt=run.job.attempt,
        period_seconds=run.resources.settings.mirror_seconds,
    )


def _describe_run(run: ClaimedRun) -> str:
    settings = run.resources.settings
    return f"[emotune: job {run.job.id}, attempt {run.job.attempt}, on {settings.slot} of {settings.host_name}]"


def _describe_end(run: ClaimedRun, ending: Ending, run_log: RunLog) -> RunEnd:
    last_line = ending.last_line
    peak_gpu_bytes = last_line.peak_gpu_bytes if last_line is not None else None
    if peak_gpu_bytes is None and run.resources.settings.slot_device == "cuda":
        peak_gpu_bytes = ending.last_memory_bytes
    return RunEnd(
        exit_code=ending.exit_code,
        log=run_log.get_last_lines(),
        peak_gpu_bytes=peak_gpu_bytes,
        peak_host_bytes=ending.peak_host_bytes,
    )


def _can_halve_batch(run: ClaimedRun) -> bool:
    config = make_config(run.job)
    return config.auto_batch and run.job.batch_split == 1 and halve_batch(config) is not None


def _find_seconds_left(run: ClaimedRun) -> float | None:
    """Return what is left of the time that all runs of the job together may take; None for no limit."""
    timeout_seconds = run.job.timeout_seconds or run.resources.settings.job_timeout_seconds
    if timeout_seconds is None:
        return None
    with run.resources.database.read() as session:
        return timeout_seconds - run_ends.get_run_seconds(session, job_id=run.job.id)
