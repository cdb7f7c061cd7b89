"""Celery app factory, task names, wake-up messages. A message only wakes a slot; what to do is in the rows."""

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from jobs.settings import DEVICES, Device, Settings

RUN_TASK = "emotune.run_next"
SWEEP_TASK = "emotune.sweep"
COLLECT_TASK = "emotune.collect_garbage"
HOUSEKEEPING_QUEUE = "housekeeping"

# A message that was not received within this time is dropped: the next sweep wakes the slots anyway.
RING_EXPIRES_SECONDS = 300

# Only files at least a day old are collected, so that none of them is still being written.
COLLECT_SECONDS = 3600

log = structlog.get_logger()


def get_slot_queue(device: Device) -> str:
    return f"slots.{device}"


def make_celery(settings: Settings) -> Celery:
    """The Celery app of API, workers and housekeeping. docs/decisions/0002 gives the reason for each setting."""
    celery = Celery("emotune", broker=settings.broker_url)
    celery.conf.update(
        task_acks_late=False,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_publish_retry_policy={"max_retries": 0},
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        task_routes={
            RUN_TASK: {"queue": get_slot_queue(settings.slot_device)},
            SWEEP_TASK: {"queue": HOUSEKEEPING_QUEUE},
            COLLECT_TASK: {"queue": HOUSEKEEPING_QUEUE},
        },
        beat_schedule={
            "sweep": {
                "task": SWEEP_TASK,
                "schedule": settings.sweep_seconds,
                "options": {"expires": settings.sweep_seconds},
            },
            "collect_garbage": {
                "task": COLLECT_TASK,
                "schedule": COLLECT_SECONDS,
                "options": {"expires": COLLECT_SECONDS},
            },
        },
        # This scheduler keeps no file of last times, which would be a pickle. A restart only shifts the times.
        beat_scheduler="celery.beat:Scheduler",
    )
    return celery


class Doorbell:
    """Wakes the slots. Losing a message costs time, never a job, so an unreachable broker is only logged."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery

    def ring(self, *, needs_cuda: bool = False) -> None:
        """Wake the slots that could run the job. Call it after the commit; the claim decides which slot takes it."""
        devices: tuple[Device, ...] = ("cuda",) if needs_cuda else DEVICES
        for device in devices:
            self.ring_device(device)

    def ring_device(self, device: Device) -> None:
        """Wake one slot of this kind: the first that is idle."""
        try:
            self._celery.send_task(RUN_TASK, queue=get_slot_queue(device), expires=RING_EXPIRES_SECONDS)
        except (OperationalError, RedisError) as error:
            log.warning("doorbell_not_rung", device=device, reason=str(error))

    def silence(self, device: Device) -> None:
        """Drop the messages for slots of this kind while there is none to receive them, so that they don't pile up."""
        try:
            with self._celery.connection_for_write() as connection:
                connection.default_channel.queue_purge(get_slot_queue(device))
        except (OperationalError, RedisError) as error:
            log.warning("doorbell_not_silenced", device=device, reason=str(error))
