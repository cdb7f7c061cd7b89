"""`emotune api`: the web process."""

import sys

import uvicorn

from cli.database import refuse_other_schema
from jobs.logs import configure_logging
from jobs.settings import Settings

# Those who follow a job's live feed would else hold up a shutdown for as long as the job runs.
SHUTDOWN_SECONDS = 3

# How long a thread that computes, such as one that validates an upload, keeps Python from those that wait to answer a
# poll. Each waits many times on its way, and by Python's 5 ms a poll would take a tenth of a second beside an upload.
SWITCH_SECONDS = 0.0005


def run_api(settings: Settings) -> None:
    """Returns when the process was told to stop and has."""
    configure_logging(settings.log_level, settings.log_format)
    refuse_other_schema(settings)
    sys.setswitchinterval(SWITCH_SECONDS)
    uvicorn.run(
        "api.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
