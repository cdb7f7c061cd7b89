"""Celery entry point, which `emotune worker` starts: on the queue of a slot, or with `--housekeeping` for the sweep.

`celery -A worker.app:celery worker -Q slots.cpu` starts it too, but puts the working folder first on sys.path: files of
a user there would take the place of ours. Importing this module opens no connection: the pool's process opens its own
after the fork.
"""

import functools
from collections.abc import Sequence
from typing import Any

from celery import Celery, signals

from jobs.doorbell import get_slot_queue, make_celery
from jobs.settings import Settings, load_settings
from jobs.telemetry.logs import configure_logging
from jobs.telemetry.tracing import is_wanted
from worker.beacon import Beacon
from worker.drain import Drain, leave_with_parent
from worker.housekeeping.statistics import make_beat_entry
from worker.resources import Resources
from worker.runs.run import TRAINER_ARGV
from worker.tasks import register_tasks
from worker.trainers.spare_keeper import make_spares
from worker.trainers.spares import Spares


def make_worker(settings: Settings, trainer_argv: Sequence[str] = TRAINER_ARGV) -> Celery:
    """Make the app with its tasks, and with what its processes do when they start and when they are asked to end.

    `trainer_argv` starts a training process; the path of its request follows.
    """
    celery = make_celery(settings)
    # A wrong variable stops the worker at its start, not later in its pool.
    is_wanted()
    celery.conf.beat_schedule |= make_beat_entry(settings)
    drain = Drain()
    get_resources = functools.cache(functools.partial(Resources.open, settings, celery, drain))

    @functools.cache
    def get_spares() -> Spares:
        return make_spares(get_resources(), trainer_argv)

    register_tasks(celery, get_resources, trainer_argv, get_spares)

    def on_setup_logging(**_: Any) -> None:
        configure_logging(settings.log_level, settings.log_format)

    def on_shutting_down(**_: Any) -> None:
        drain.request()

    def on_process_init(**_: Any) -> None:
        if get_slot_queue(settings.slot_device) in celery.amqp.queues.consume_from:
            Beacon(get_resources(), get_spares()).start()

    def on_process_shutdown(**_: Any) -> None:
        # A process that has opened nothing has no spans to send.
        if get_resources.cache_info().currsize:
            get_resources().tracing.close()
        if get_spares.cache_info().currsize:
            get_spares().close()

    def on_beat_init(**_: Any) -> None:
        leave_with_parent()

    signals.setup_logging.connect(on_setup_logging, weak=False)
    signals.worker_shutting_down.connect(on_shutting_down, weak=False)
    signals.worker_process_init.connect(on_process_init, weak=False)
    signals.worker_process_shutdown.connect(on_process_shutdown, weak=False)
    signals.beat_embedded_init.connect(on_beat_init, weak=False)
    return celery


celery = make_worker(load_settings())
