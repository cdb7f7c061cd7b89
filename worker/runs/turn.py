"""A slot's turn: claim the job whose turn it is, see its run through, and ring for the next."""

import time
from collections.abc import Sequence

import structlog

from jobs.errors import RunFenced, StorageUnreachable
from jobs.files import leftovers
from jobs.models import Job
from jobs.queue import turns
from jobs.queue.rules import QueueRules
from jobs.runs import claims, slots
from jobs.runs import ends as run_ends
from jobs.status import JobStatus
from worker.resources import Resources
from worker.runs import finish
from worker.runs.reaper import reap, reap_earlier_boot
from worker.runs.recorder import Recorder
from worker.runs.run import TRAINER_ARGV, ClaimedRun, open_run, train
from worker.runs.spans import trace_run
from worker.slot.lock import SlotLock, hold_slot
from worker.trainers.spares import NO_SPARES, Spares
from worker.trainers.starting import Trainers

# How long a slot that can't take a job waits, so that another one gets the ring.
PASS_ON_SECONDS = 0.5

log = structlog.get_logger()


def run_next(resources: Resources, trainer_argv: Sequence[str] = TRAINER_ARGV, spares: Spares = NO_SPARES) -> None:
    """Claim the next job, if there is one, run it to its end, and ring for the next."""
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
            spares.during_run(),
            structlog.contextvars.bound_contextvars(job_id=job.id, attempt=job.attempt),
            resources.slot_check.occupy(),
            trace_run(resources.tracing, job, slot=settings.slot, asked_at_ns=asked_at_ns),
        ):
            _see_through(resources, job, lock, Trainers(trainer_argv, spares))
            _wait_for_memory(resources, job, lock)
            _clear_ended(resources)
    with resources.database.read() as session:
        is_next_waiting = turns.has_waiting(session, device=settings.slot_device)
    if is_next_waiting and not resources.drain.is_requested:
        resources.doorbell.ring_device(settings.slot_device)


def _claim(resources: Resources) -> Job | None:
    """Claim a job. Only an expired lease shows that this slot's run is dead: it may be another worker's by mistake."""
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
        # The ring was for any idle slot. While this process waits it receives none, so that another one does.
        resources.doorbell.ring_device(settings.slot_device)
        time.sleep(PASS_ON_SECONDS)
    return None


def _clear_ended(resources: Resources) -> None:
    """Delete what jobs left here that ended on another machine, which does not see this one's folder."""
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
    """Wait for the run's memory, unless the worker is leaving: then there is no next job."""
    reason = None if resources.drain.is_requested else resources.slot_check.wait_until_free(lock)
    if reason is not None:
        message = f"The slot takes no job for now, as the memory did not come back after the run. {reason}"
        with resources.database.write() as session:
            slots.record_blocked(session, job_id=job.id, attempt=job.attempt, message=message)


def _see_through(resources: Resources, job: Job, lock: SlotLock, trainers: Trainers) -> None:
    log.info("run_starts", slot=resources.settings.slot)
    with _open_recorder(resources, job) as recorder:
        run = open_run(resources, job, recorder)
        try:
            status = _train_and_finish(run, lock, trainers)
        except RunFenced:
            # What it has stored is left to the garbage collection, which checks the rows: its end may have been written
            # by a commit whose answer never arrived.
            log.warning("run_lost")
            return
    try:
        finish.clear(run, status)
    except StorageUnreachable as error:
        # The garbage collection clears it.
        log.warning("run_not_cleared", reason=error.message)


def _train_and_finish(run: ClaimedRun, lock: SlotLock, trainers: Trainers) -> JobStatus:
    """Return the job's status after the run. Raises RunFenced."""
    try:
        return finish.finish(run, *train(run, lock, trainers))
    except RunFenced:
        raise
    except Exception as error:
        # Whatever it is, the team must not wait for the lease to expire and the next attempt to fail the same way.
        log.exception("run_broke")
        return finish.break_off(run, error)


def _open_recorder(resources: Resources, job: Job) -> Recorder:
    settings = resources.settings
    return Recorder(
        resources.database,
        job_id=job.id,
        attempt=job.attempt,
        heartbeat_seconds=settings.heartbeat_seconds,
        flush_seconds=settings.metric_flush_seconds,
        lease_seconds=settings.lease_seconds,
    )
