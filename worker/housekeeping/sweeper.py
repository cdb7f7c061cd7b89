"""The sweep: requeue stalled runs, preempt, re-send lost messages. Housekeeping runs it every few seconds."""

import structlog

from jobs.queue import turns
from jobs.queue.preemption import find_preemption
from jobs.queue.rules import QueueRules
from jobs.runs import stops
from jobs.runs.slots import list_slots_seen
from jobs.settings import DEVICES
from worker.resources import Resources
from worker.runs.reaper import reap

HIGHER_CLASS = "A job of a higher priority class waits"

log = structlog.get_logger()


def sweep(resources: Resources) -> None:
    """Do the periodic work on runs and the queue. Each part may be done twice, or by two sweeps at once."""
    if not resources.may_work():
        return
    _requeue_stalled(resources)
    _preempt(resources)
    _ring(resources)
    _note(resources)


def _note(resources: Resources) -> None:
    """Record the sweep, so that others can see whether housekeeping works."""
    try:
        resources.storage.note_sweep(resources.settings.host_name)
    except OSError as error:
        log.warning("sweep_not_noted", reason=str(error))


def _requeue_stalled(resources: Resources) -> None:
    with resources.database.write() as session:
        reaped = reap(session, resources)
    for job_id in reaped:
        log.warning("run_reaped", job_id=job_id)


def _preempt(resources: Resources) -> None:
    """Let running jobs give their slots to waiting jobs of a higher class."""
    rules = QueueRules.of(resources.settings)
    with resources.database.read() as session:
        victims = find_preemption(session, seen_within_seconds=resources.settings.worker_seen_seconds, rules=rules)
    if not victims:
        return
    with resources.database.write() as session:
        asked = [job_id for job_id in victims if stops.preempt(session, job_id=job_id, reason=HIGHER_CLASS)]
    for job_id in asked:
        log.info("job_preempted", job_id=job_id)


def _ring(resources: Resources) -> None:
    """Wake idle slots that could run a waiting job. Without any slot of a device, messages would only pile up."""
    seen_seconds = resources.settings.worker_seen_seconds
    with resources.database.read() as session:
        waiting_for = turns.list_devices_to_wake(session, seen_within_seconds=seen_seconds)
        listening = {slot.device for slot in list_slots_seen(session, within_seconds=seen_seconds)}
    for device in DEVICES:
        if device in waiting_for:
            resources.doorbell.ring_device(device)
        elif device not in listening:
            resources.doorbell.silence(device)
