"""`emotune worker`: a Celery worker for one slot, or for the housekeeping."""

from cli.database import refuse_other_schema
from jobs.doorbell import HOUSEKEEPING_QUEUE, get_slot_queue
from jobs.settings import Settings
from jobs.telemetry.logs import configure_logging


def run_worker(settings: Settings, *, housekeeping: bool) -> None:
    """Returns when the worker was told to stop and has."""
    # What is said before Celery asks for it is a line of the log, too.
    configure_logging(settings.log_level, settings.log_format)
    refuse_other_schema(settings)
    from worker.app import celery

    celery.worker_main(make_worker_argv(settings, housekeeping=housekeeping))


def make_worker_argv(settings: Settings, *, housekeeping: bool) -> list[str]:
    """What Celery is told. Prefork: a solo worker answers nothing while it is busy."""
    if housekeeping:
        own = ["-Q", HOUSEKEEPING_QUEUE, "-n", f"housekeeping@{settings.host_name}", "-B"]
    else:
        own = ["-Q", get_slot_queue(settings.slot_device), "-n", f"{settings.slot}@{settings.host_name}"]
    common = ["-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle", "-l", settings.log_level]
    # Its banner on standard output would be no JSON.
    quiet = ["--quiet"] if settings.log_format == "json" else []
    return [*quiet, "worker", *own, *common]
