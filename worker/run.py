"""One run: claim -> supervise -> bundle -> finish."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from emomodel.config import TrainConfig
from emomodel.manifest import BundleError
from emomodel.progress import EXIT_OK
from emomodel.request import TrainRequest, ValidationDataset
from jobs import claims, turns
from jobs.base_models import get_base_model
from jobs.errors import EmotuneError, RunFenced
from jobs.estimates import describe_error
from jobs.models import Artifact, Job
from jobs.rules import QueueRules
from jobs.storage import LOG_FILE, METRICS_FILE, OUTPUT_FOLDER, REQUEST_FILE, ROW_REPORT_FILE
from worker.environment import make_trainer_environment
from worker.oom import count_oom_kills
from worker.outcome import Cancelled, Failed, Interrupted, Lost, Outcome, Succeeded, decide_outcome
from worker.outputs import store_bundle, store_traces
from worker.recorder import Recorder
from worker.relay import Relay
from worker.resources import Resources
from worker.run_log import RunLog
from worker.slot_lock import SlotLock, hold_slot
from worker.supervisor import Ending, Grace, supervise
from worker.trainer import Trainer

# The request's path follows.
TRAINER_ARGV = (sys.executable, "-m", "emomodel", "train", "--supervised")

log = structlog.get_logger()


def run_next(resources: Resources, trainer_argv: Sequence[str] = TRAINER_ARGV) -> None:
    """Take the job whose turn it is, if there is one, see its run through, and ring for the next."""
    settings = resources.settings
    if resources.drain.is_requested:
        return
    with hold_slot(settings.data_dir, settings.slot) as lock:
        if lock is None:
            log.warning("slot_taken", slot=settings.slot, advice="two workers run for one slot: stop one of them")
            return
        lock.end_left_over()
        job = _claim(resources)
        if job is None:
            return
        with structlog.contextvars.bound_contextvars(job_id=job.id, attempt=job.attempt):
            _see_through(resources, job, lock, trainer_argv)
    with resources.database.read() as session:
        is_next_waiting = turns.has_waiting(session, device=settings.slot_device)
    if is_next_waiting and not resources.drain.is_requested:
        resources.doorbell.ring_device(settings.slot_device)


def _claim(resources: Resources) -> Job | None:
    """Only an ended lease tells that a run on this slot is dead: the row may be that of a worker started by mistake."""
    settings = resources.settings
    with resources.database.write() as session:
        claims.reap(session, max_attempts=settings.max_attempts)
        return claims.claim_next(
            session,
            slot=settings.slot,
            device=settings.slot_device,
            lease_seconds=settings.lease_seconds,
            rules=QueueRules.of(settings),
        )


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
    with recorder:
        run = _Run(resources, job, folder, recorder)
        try:
            try:
                run.finish(run.train(lock, trainer_argv))
            except Exception as error:
                if isinstance(error, RunFenced):
                    raise
                # Whatever it is, the team must not wait for a lease to end and the next attempt to fail the same way.
                log.exception("run_broke")
                run.break_off(error)
        except RunFenced:
            log.warning("run_lost")


@dataclass(frozen=True)
class _Run:
    """A claimed job and what its run works with."""

    resources: Resources
    job: Job
    folder: Path
    recorder: Recorder

    def train(self, lock: SlotLock, trainer_argv: Sequence[str]) -> Outcome:
        """Start the training process and stay with it to its end."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            request_path = self._write_request()
        except EmotuneError as error:
            return Failed(error.code, error.message)
        oom_kills_before = count_oom_kills()
        with RunLog(self.folder / LOG_FILE) as run_log, self._open_relay() as relay:
            ending = self._supervise([*trainer_argv, str(request_path)], run_log, relay, lock)
        was_out_of_memory = not ending.was_forced and count_oom_kills() > oom_kills_before
        return decide_outcome(ending, last_lines=run_log.get_last_lines(), was_out_of_memory=was_out_of_memory)

    def finish(self, outcome: Outcome) -> None:
        """Store what was made, then tell the rows. Raises RunFenced."""
        log.info("run_ends", outcome=type(outcome).__name__.lower())
        match outcome:
            case Lost():
                raise RunFenced
            case Interrupted():
                self._requeue(outcome)
                return
            case Succeeded():
                self._succeed(outcome)
            case Failed():
                self._fail(outcome)
            case Cancelled():
                self._record(claims.confirm_cancel, exit_code=outcome.exit_code, artifacts=self._store_traces())
        self.resources.storage.clear_run_folder(self.job.id, self.job.attempt)

    def break_off(self, error: Exception) -> None:
        """The worker itself failed, perhaps for want of disk: write the reason and no file. Raises RunFenced."""
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        message = "The worker's disk is full." if is_full else f"The worker failed: {type(error).__name__}: {error}"
        code = "disk_full" if is_full else "worker_error"
        self._record(claims.fail, code=code, message=message.replace("\x00", ""), exit_code=None)

    def _succeed(self, outcome: Succeeded) -> None:
        result = outcome.result
        message = f"{result.step_count} steps in {result.train_seconds:.0f} s; last loss {result.final_loss:.4f}."
        message += describe_error(
            self.job.estimate, train_seconds=result.train_seconds, peak_memory_bytes=result.peak_memory_bytes
        )
        try:
            bundle = store_bundle(self.resources.storage, self.folder, job_id=self.job.id, attempt=self.job.attempt)
        except BundleError as error:
            self._fail(Failed("bundle_invalid", f"The training process left no whole bundle: {error}", EXIT_OK))
        else:
            self._record(
                claims.succeed,
                artifacts=[bundle, *self._store_traces()],
                message=message,
                result=result.model_dump(exclude={"type"}),
            )

    def _fail(self, outcome: Failed) -> None:
        self._record(
            claims.fail,
            code=outcome.code,
            message=outcome.message,
            exit_code=outcome.exit_code,
            artifacts=self._store_traces(),
        )

    def _requeue(self, outcome: Interrupted) -> None:
        message = "Its worker was asked to leave; the job is queued again."
        self._record(claims.requeue, message=message, exit_code=outcome.exit_code)

    def _record(self, verb: Callable[..., None], **values: object) -> None:
        self.recorder.finish(partial(verb, job_id=self.job.id, attempt=self.job.attempt, **values))

    def _store_traces(self) -> list[Artifact]:
        return store_traces(self.resources.storage, self.folder, job_id=self.job.id, attempt=self.job.attempt)

    def _open_relay(self) -> Relay:
        return Relay(
            self.folder / METRICS_FILE,
            job_id=self.job.id,
            attempt=self.job.attempt,
            stream=self.resources.stream,
            recorder=self.recorder,
        )

    def _supervise(self, argv: Sequence[str], run_log: RunLog, relay: Relay, lock: SlotLock) -> Ending:
        settings = self.resources.settings
        environment = make_trainer_environment(
            os.environ,
            threads=settings.trainer_threads,
            device=settings.slot_device,
            cache_folder=self.resources.storage.get_cache_folder(settings.slot),
        )
        grace = Grace(settings.stop_grace_seconds, settings.kill_grace_seconds)
        with Trainer(argv, folder=self.folder, environment=environment, run_log=run_log) as trainer:
            lock.note_trainer(trainer.pid)
            ending = supervise(trainer, relay=relay, recorder=self.recorder, drain=self.resources.drain, grace=grace)
        lock.forget_trainer()
        return ending

    def _find_validation(self) -> ValidationDataset | None:
        job = self.job
        if job.validation_dataset_id is None:
            return None
        return ValidationDataset(
            path=self.resources.storage.get_dataset_path(job.validation_dataset_id),
            name=job.validation_dataset_name or "",
            sha256=job.validation_dataset_sha256 or "",
        )

    def _write_request(self) -> Path:
        """Raises BaseModelUnknown and BaseModelMissing."""
        job = self.job
        base_model = get_base_model(self.resources.settings.base_models, job.base_model)
        is_folder, path = base_model.is_folder, base_model.path
        request = TrainRequest(
            dataset_path=self.resources.storage.get_dataset_path(job.dataset_id),
            dataset_name=job.dataset_name,
            dataset_sha256=job.dataset_sha256,
            validation=self._find_validation(),
            row_report_path=self.folder / ROW_REPORT_FILE if job.config.get("row_report") else None,
            base_model=job.base_model,
            base_model_path=str(Path(path).expanduser().absolute()) if is_folder else path,
            config=TrainConfig.model_validate(job.config),
            axes=tuple(job.axes),
            output_dir=self.folder / OUTPUT_FOLDER,
        )
        request_path = self.folder / REQUEST_FILE
        request_path.write_text(request.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return request_path
