"""`emotune worker`: a Celery worker for one slot, or for the housekeeping."""

from cli.database import refuse_other_schema
from jobs.doorbell import HOUSEKEEPING_QUEUE, get_slot_queue
from jobs.settings import Settings
from jobs.telemetry.logs import configure_logging


def run_worker(settings: Settings, *, housekeeping: bool) -> None:
    """Run the worker until it is asked to stop. Raises DatabaseUnusable."""
    # Set up before Celery does it, so that earlier messages are log lines as well.
    configure_logging(settings.log_level, settings.log_format)
    refuse_other_schema(settings)
    from worker.app import celery

    celery.worker_main(make_worker_argv(settings, housekeeping=housekeeping))


def make_worker_argv(settings: Settings, *, housekeeping: bool) -> list[str]:
    """Return Celery's arguments. Prefork, as a solo worker answers nothing while it is busy."""
    if housekeeping:
        own = ["-Q", HOUSEKEEPING_QUEUE, "-n", f"housekeeping@{settings.host_name}", "-B"]
    else:
        own = ["-Q", get_slot_queue(settings.slot_device), "-n", f"{settings.slot}@{settings.host_name}"]
    common = ["-P", "prefork", "-c", "1", "--without-gossip", "--without-mingle", "-l", settings.log_level]
    # Celery's banner on standard output would not be JSON.
    quiet = ["--quiet"] if settings.log_format == "json" else []
    return [*quiet, "worker", *own, *common]
