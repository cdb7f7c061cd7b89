"""`emotune api`: the web process."""

import uvicorn

from cli.database import refuse_other_schema
from jobs.logs import configure_logging
from jobs.settings import Settings

# Those who follow a job's live feed would else hold up a shutdown for as long as the job runs.
SHUTDOWN_SECONDS = 3


def run_api(settings: Settings) -> None:
    """Returns when the process was told to stop and has."""
    configure_logging(settings.log_level, settings.log_format)
    refuse_other_schema(settings)
    uvicorn.run(
        "api.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
