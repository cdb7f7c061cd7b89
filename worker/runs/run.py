"""One run: claim -> supervise -> bundle -> finish."""

import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import structlog

from emomodel.bundles.manifest import BundleError
from emomodel.config import halve_batch
from jobs.errors import EmotuneError, RunFenced, StorageUnreachable
from jobs.files import leftovers
from jobs.files.storage import LOG_FILE, METRICS_FILE
from jobs.models import Artifact, Job
from jobs.posting.estimates import describe_error
from jobs.queue import turns
from jobs.queue.rules import QueueRules
from jobs.runs import claims, slots
from jobs.runs import ends as run_ends
from jobs.runs.ends import RunEnd
from jobs.status import JobStatus
from worker.resources import Resources
from worker.runs.checkpoints import RunCheckpoints
from worker.runs.configs import judge_config
from worker.runs.environment import make_trainer_environment, name_run
from worker.runs.log import RunLog
from worker.runs.mirror import open_mirror
from worker.runs.missing_metrics import MissingMetrics
from worker.runs.oom import count_oom_kills
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
    decide_outcome,
)
from worker.runs.outputs import store_bundle, store_traces, withdraw_artifacts
from worker.runs.reaper import reap, reap_earlier_boot
from worker.runs.recorder import Recorder
from worker.runs.relay import Relay
from worker.runs.request_file import make_config, write_request
from worker.runs.sampler import Sampler, make_sampler
from worker.runs.spans import PhaseSpans, note_break, note_outcome, trace_run
from worker.runs.supervisor import Ending, Grace, Limits, supervise
from worker.runs.trainer import Trainer
from worker.slot.lock import SlotLock, hold_slot

# The request's path follows.
TRAINER_ARGV = (sys.executable, "-m", "emomodel", "train", "--supervised")

# How long a slot that can't take a job leaves the ring to others.
PASS_ON_SECONDS = 0.5

log = structlog.get_logger()


def run_next(resources: Resources, trainer_argv: Sequence[str] = TRAINER_ARGV) -> None:
    """Take the job whose turn it is, if there is one, see its run through, and ring for the next."""
    settings = resources.settings
    if resources.drain.is_requested or not resources.may_work():
        return
    with hold_slot(settings.data_dir, settings.slot, host=settings.host_name, boot_id=resources.boot_id) as lock:
        if lock is None:
            log.warning("slot_taken", slot=settings.slot, advice="two workers run for one slot: stop one of them")
            return
        lock.end_left_over()
        asked_at_ns = time.time_ns()
        if (job := _claim(resources)) is None:
            return
        with (
            structlog.contextvars.bound_contextvars(job_id=job.id, attempt=job.attempt),
            resources.slot_check.occupy(),
            trace_run(resources.tracing, job, slot=settings.slot, asked_at_ns=asked_at_ns),
        ):
            _see_through(resources, job, lock, trainer_argv)
            _wait_for_memory(resources, job, lock)
            _clear_ended(resources)
    with resources.database.read() as session:
        is_next_waiting = turns.has_waiting(session, device=settings.slot_device)
    if is_next_waiting and not resources.drain.is_requested:
        resources.doorbell.ring_device(settings.slot_device)


def _claim(resources: Resources) -> Job | None:
    """Only an ended lease tells that a run on this slot is dead: the row may be that of a worker started by mistake."""
    settings = resources.settings
    slot, seen_seconds = settings.slot, settings.worker_seen_seconds
    is_free = resources.slot_check.find_obstacle() is None
    with resources.database.write() as session:
        is_ours = slots.is_open(session, name=slot, host=settings.host_name, within_seconds=seen_seconds)
        if is_ours:
            reap_earlier_boot(session, resources)
        reap(session, resources)
        if is_free and is_ours:
            return claims.claim_next(
                session,
                slot=slot,
                device=settings.slot_device,
                lease_seconds=settings.lease_seconds,
                boot_id=resources.boot_id,
                rules=QueueRules.of(settings),
            )
        can_pass_on = slots.is_another_idle(
            session, name=slot, device=settings.slot_device, within_seconds=seen_seconds
        )
    if can_pass_on:
        # The ring was for whoever is idle. While this process waits it hears none, so that another one does.
        resources.doorbell.ring_device(settings.slot_device)
        time.sleep(PASS_ON_SECONDS)
    return None


def _clear_ended(resources: Resources) -> None:
    """What jobs have left here that then ended elsewhere: no other machine sees this one's folder."""
    storage = resources.storage
    if not storage.is_shared:
        return
    with resources.database.read() as session:
        ended_ids = run_ends.find_ended_ids(session, leftovers.list_leftover_ids(storage))
    for job_id in sorted(ended_ids):
        log.info("leftovers_deleted", job_id=job_id)
        for attempt in storage.list_attempts(job_id):
            leftovers.clear_run_folder(storage, job_id, attempt)


def _wait_for_memory(resources: Resources, job: Job, lock: SlotLock) -> None:
    """A worker that leaves has no time for it, and no next job."""
    reason = None if resources.drain.is_requested else resources.slot_check.wait_until_free(lock)
    if reason is not None:
        message = f"The slot takes no job for now, as the memory did not come back after the run. {reason}"
        with resources.database.write() as session:
            slots.record_blocked(session, job_id=job.id, attempt=job.attempt, message=message)


def _see_through(resources: Resources, job: Job, lock: SlotLock, trainer_argv: Sequence[str]) -> None:
    settings = resources.settings
    log.info("run_starts", slot=settings.slot)
    recorder = Recorder(
        resources.database,
        job_id=job.id,
        attempt=job.attempt,
        heartbeat_seconds=settings.heartbeat_seconds,
        flush_seconds=settings.metric_flush_seconds,
        lease_seconds=settings.lease_seconds,
    )
    folder = resources.storage.get_run_folder(job.id, job.attempt)
    checkpoints = RunCheckpoints(resources.storage, job_id=job.id, attempt=job.attempt, kept=settings.checkpoints_kept)
    with recorder:
        run = _Run(resources, job, folder, recorder, checkpoints)
        try:
            try:
                status = run.finish(*run.train(lock, trainer_argv))
            except Exception as error:
                if isinstance(error, RunFenced):
                    raise
                # Whatever it is, the team must not wait for a lease to end and the next attempt to fail the same way.
                log.exception("run_broke")
                status = run.break_off(error)
        except RunFenced:
            # What it has stored is left to the garbage collection, which asks the rows: its end may have been written
            # by a commit whose answer never came.
            log.warning("run_lost")
            return
    try:
        run.clear(status)
    except StorageUnreachable as error:
        # The garbage collection does it.
        log.warning("run_not_cleared", reason=error.message)


@dataclass(frozen=True)
class _Run:
    """A claimed job and what its run works with."""

    resources: Resources
    job: Job
    folder: Path
    recorder: Recorder
    checkpoints: RunCheckpoints

    def train(self, lock: SlotLock, trainer_argv: Sequence[str]) -> tuple[Outcome, RunEnd]:
        """Start the training process and stay with it to its end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unreadable = judge_config(self.job)
        if unreadable is not None:
            if isinstance(unreadable, Interrupted):
                self.resources.slot_check.give_up(unreadable.why)
            return unreadable, RunEnd()
        try:
            request_path = write_request(self.resources, self.job, self.folder, self.checkpoints)
        except StorageUnreachable as error:
            return Interrupted(error.message.rstrip(".")), RunEnd()
        except EmotuneError as error:
            return Failed(error.code, error.message), RunEnd()
        oom_kills_before = count_oom_kills()
        with (
            RunLog(self.folder / LOG_FILE) as run_log,
            make_sampler(self.resources.settings.slot_device, self.resources.device) as sampler,
            self._open_relay(sampler) as relay,
            self._open_mirror(),
        ):
            run_log.write_heading(self._describe_run())
            ending = self._supervise([*trainer_argv, str(request_path)], run_log, relay, lock)
        was_out_of_memory = not ending.was_forced and count_oom_kills() > oom_kills_before
        outcome = decide_outcome(ending, was_out_of_memory=was_out_of_memory, can_halve_batch=self._can_halve_batch())
        return outcome, self._describe_end(ending, run_log)

    def finish(self, outcome: Outcome, end: RunEnd) -> JobStatus:
        """Store what was made, then tell the rows; returns where the job is then. Raises RunFenced."""
        name = type(outcome).__name__.lower()
        note_outcome(name, code=outcome.code if isinstance(outcome, Failed | Crashed) else None)
        log.info("run_ends", outcome=name)
        match outcome:
            case Lost():
                raise RunFenced
            case Succeeded():
                return self._succeed(outcome, end)
            case Failed():
                end = replace(end, code=outcome.code, message=outcome.message)
                return self._record(run_ends.fail, end=end, artifacts=self._store_traces())
            case Crashed():
                return self._crash(replace(end, code=outcome.code, message=outcome.message))
            case Cancelled():
                return self._record(run_ends.confirm_cancel, end=end, artifacts=self._store_traces())
            case Interrupted():
                return self._record(run_ends.interrupt, end=end, message=outcome.why)
            case TooLarge():
                return self._retry_smaller(outcome, end)

    def clear(self, status: JobStatus) -> None:
        """Leave what the job goes on from, where it does, and what it has to show, where it has ended."""
        storage = self.resources.storage
        if status.is_final:
            leftovers.clear_run_folders(storage, self.job.id)
        else:
            leftovers.clear_run_folder(storage, self.job.id, self.job.attempt, keeps_checkpoints=True)
            # No row speaks of these: the job has yet to end.
            withdraw_artifacts(storage, job_id=self.job.id, attempt=self.job.attempt)

    def break_off(self, error: Exception) -> JobStatus:
        """The worker itself failed, perhaps for want of disk: write the reason and no file. Raises RunFenced."""
        note_break(error)
        if isinstance(error, StorageUnreachable):
            # No fault of the job's, and the slot takes no other before the store is back.
            return self._record(run_ends.interrupt, end=RunEnd(), message=error.message.rstrip("."))
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        message = "The worker's disk is full." if is_full else f"The worker failed: {type(error).__name__}: {error}."
        end = RunEnd(code="disk_full" if is_full else "worker_error", message=message.replace("\x00", ""))
        return self._record(run_ends.crash, end=end, max_crashes=self.resources.settings.max_crashes)

    def _succeed(self, outcome: Succeeded, end: RunEnd) -> JobStatus:
        result = outcome.result
        message = f"{result.step_count} steps in {result.train_seconds:.0f} s; last loss {result.final_loss:.4f}."
        message += describe_error(
            self.job.estimate, train_seconds=result.train_seconds, peak_memory_bytes=result.peak_memory_bytes
        )
        try:
            with self.resources.tracing.span("run.bundle"):
                bundle = store_bundle(self.resources.storage, self.folder, job_id=self.job.id, attempt=self.job.attempt)
        except BundleError as error:
            told = f"The training process left no whole bundle: {error}."
            return self._crash(replace(end, code="bundle_invalid", message=told))
        return self._record(
            run_ends.succeed,
            end=replace(end, log=()),
            artifacts=[bundle, *self._store_traces()],
            message=message,
            result=result.model_dump(exclude={"type"}),
        )

    def _crash(self, end: RunEnd) -> JobStatus:
        return self._record(
            run_ends.crash,
            end=end,
            max_crashes=self.resources.settings.max_crashes,
            artifacts=self._store_traces(),
        )

    def _retry_smaller(self, outcome: TooLarge, end: RunEnd) -> JobStatus:
        config = halve_batch(make_config(self.job))
        assert config is not None  # noqa: S101 - decide_outcome was told so
        message = (
            f"The GPU's memory was full. The job begins anew with a batch_size of {config.batch_size} and a "
            f"gradient_accumulation of {config.gradient_accumulation}, which it allows (auto_batch)."
        )
        self.checkpoints.delete_all()
        end = replace(end, code=CUDA_OUT_OF_MEMORY, message=outcome.message)
        return self._record(run_ends.retry_smaller, end=end, message=message)

    def _describe_end(self, ending: Ending, run_log: RunLog) -> RunEnd:
        told = ending.last_line
        peak_gpu_bytes = told.peak_gpu_bytes if told is not None else None
        if peak_gpu_bytes is None and self.resources.settings.slot_device == "cuda":
            peak_gpu_bytes = ending.last_memory_bytes
        return RunEnd(
            exit_code=ending.exit_code,
            log=run_log.get_last_lines(),
            peak_gpu_bytes=peak_gpu_bytes,
            peak_host_bytes=ending.peak_host_bytes,
        )

    def _can_halve_batch(self) -> bool:
        config = make_config(self.job)
        return config.auto_batch and self.job.batch_split == 1 and halve_batch(config) is not None

    def _record(self, verb: Callable[..., JobStatus], **values: object) -> JobStatus:
        return self.recorder.finish(partial(verb, job_id=self.job.id, attempt=self.job.attempt, **values))

    def _store_traces(self) -> list[Artifact]:
        return store_traces(self.resources.storage, self.folder, job_id=self.job.id, attempt=self.job.attempt)

    def _open_relay(self, sampler: Sampler) -> Relay:
        return Relay(
            self.folder / METRICS_FILE,
            job_id=self.job.id,
            attempt=self.job.attempt,
            stream=self.resources.stream,
            recorder=self.recorder,
            sampler=sampler,
            phases=PhaseSpans(self.resources.tracing),
            find_missing=MissingMetrics(self.resources, self.job, self.checkpoints, self.recorder).find,
        )

    def _open_mirror(self) -> AbstractContextManager[object]:
        return open_mirror(
            self.resources.storage,
            job_id=self.job.id,
            attempt=self.job.attempt,
            period_seconds=self.resources.settings.mirror_seconds,
        )

    def _supervise(self, argv: Sequence[str], run_log: RunLog, relay: Relay, lock: SlotLock) -> Ending:
        settings = self.resources.settings
        environment = make_trainer_environment(
            os.environ,
            threads=settings.trainer_threads,
            device=settings.slot_device,
            gpu_uuid=self.resources.device.read().gpu_uuid,
            cache_folder=self.resources.storage.get_cache_folder(settings.slot),
        ) | name_run(self.job.id, self.job.attempt)
        limits = Limits(self._find_seconds_left(), settings.silence_seconds)
        with Trainer(argv, folder=self.folder, environment=environment, run_log=run_log) as trainer:
            lock.note_trainer(trainer.pid)
            ending = supervise(
                trainer,
                relay=relay,
                recorder=self.recorder,
                drain=self.resources.drain,
                grace=Grace(settings.stop_grace_seconds, settings.kill_grace_seconds),
                limits=limits,
                on_checkpoint=self.checkpoints.note_saved,
            )
        lock.forget_trainer()
        return ending

    def _describe_run(self) -> str:
        settings = self.resources.settings
        return f"[emotune: job {self.job.id}, attempt {self.job.attempt}, on {settings.slot} of {settings.host_name}]"

    def _find_seconds_left(self) -> float | None:
        """Of the time that all runs of the job together may take."""
        timeout_seconds = self.job.timeout_seconds or self.resources.settings.job_timeout_seconds
        if timeout_seconds is None:
            return None
        with self.resources.database.read() as session:
            return timeout_seconds - run_ends.get_run_seconds(session, job_id=self.job.id)
