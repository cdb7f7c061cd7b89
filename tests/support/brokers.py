"""A Celery broker in memory."""

from celery import Celery

from jobs.doorbell import get_slot_queue
from jobs.settings import DEVICES, Device


def make_memory_broker() -> Celery:
    """An app with empty slot queues. The memory of the process is shared by all such apps."""
    celery = Celery("test", broker="memory://", set_as_current=False)
    for device in DEVICES:
        with celery.connection_for_write() as connection:
            connection.default_channel.queue_declare(get_slot_queue(device))
            connection.default_channel.queue_purge(get_slot_queue(device))
    return celery


def count_rings(broker: Celery, device: Device) -> int:
    """Count the messages that wait for a slot of this kind."""
    with broker.connection_for_write() as connection:
        return int(connection.default_channel.queue_declare(get_slot_queue(device), passive=True).message_count)
