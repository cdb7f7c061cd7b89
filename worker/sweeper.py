"""The sweep: requeue stalled runs, re-send lost messages, collect garbage. Housekeeping runs it every few seconds."""

import time
from datetime import timedelta

import structlog

from jobs import claims, turns
from jobs.service import list_slots_seen
from jobs.settings import DAY_SECONDS, DEVICES
from worker.resources import Resources

# An upload takes minutes at most; what is older was left by a process that died.
ABANDONED_SECONDS = DAY_SECONDS

# A run's worker clears its folder itself. The sweep does it for workers that died, and looks back so far.
CLEARED_WITHIN = timedelta(seconds=DAY_SECONDS)

log = structlog.get_logger()


def sweep(resources: Resources) -> None:
    """Everything that nobody else is there to do. Each part may be done twice, or by two sweeps at once."""
    _requeue_stalled(resources)
    _ring(resources)
    _collect_garbage(resources)


def _requeue_stalled(resources: Resources) -> None:
    with resources.database.write() as session:
        reaped = claims.reap(session, max_attempts=resources.settings.max_attempts)
    for job_id in reaped:
        log.warning("run_reaped", job_id=job_id)


def _ring(resources: Resources) -> None:
    """Ring where somebody idle listens; where nobody does, rings would only gather."""
    seen_seconds = resources.settings.worker_seen_seconds
    with resources.database.read() as session:
        waiting_for = turns.list_devices_to_wake(session, seen_within_seconds=seen_seconds)
        listening = {slot.device for slot in list_slots_seen(session, within_seconds=seen_seconds)}
    for device in DEVICES:
        if device in waiting_for:
            resources.doorbell.ring_device(device)
        elif device not in listening:
            resources.doorbell.silence(device)


def _collect_garbage(resources: Resources) -> None:
    for path in resources.storage.list_abandoned(ABANDONED_SECONDS, time.time()):
        log.info("abandoned_file_deleted", path=str(path))
        path.unlink(missing_ok=True)
    with resources.database.read() as session:
        ended = claims.list_ended_runs(session, within=CLEARED_WITHIN)
    for job_id, attempt in ended:
        resources.storage.clear_run_folder(job_id, attempt)
