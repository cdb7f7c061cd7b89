"""`emotune health`: whether a process of this installation is healthy, for the health checks of containers."""

from enum import StrEnum

from cli.errors import CliError
from jobs.settings import Settings

API_SECONDS = 5.0

# Addresses that mean all of a machine's own, each with one at which the API answers.
LOOPBACKS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - requested here, not listened on

# A sweep is delayed while garbage is collected, and by a slow database.
SWEEPS_MISSED = 12


class Process(StrEnum):
    """The processes that can be checked."""

    API = "api"
    WORKER = "worker"
    HOUSEKEEPING = "housekeeping"


class Unhealthy(CliError):
    """The process doesn't do its work."""


def check_health(settings: Settings, process: Process) -> str:
    """Return a sentence on a healthy process. Raises Unhealthy and DatabaseUnusable."""
    match process:
        case Process.API:
            return _check_api(settings)
        case Process.WORKER:
            return _check_worker(settings)
        case Process.HOUSEKEEPING:
            return _check_housekeeping(settings)


def _check_api(settings: Settings) -> str:
    """Check the process alone: without database or Redis it does what it can, and a restart would repair neither."""
    import httpx2

    url = f"http://{LOOPBACKS.get(settings.host, settings.host)}:{settings.port}/health/live"
    try:
        # The request must not go through a proxy that the environment names.
        response = httpx2.get(url, timeout=API_SECONDS, trust_env=False)
        response.raise_for_status()
    except httpx2.HTTPError as error:
        raise Unhealthy(f"{url} doesn't answer correctly: {error}") from error
    return f"{url} answers"


def _check_worker(settings: Settings) -> str:
    """Check that the slot's worker was seen. A blocked or drained slot is healthy: its worker gives the reason."""
    from cli.database import open_database
    from jobs.runs.slots import is_seen

    seconds = settings.worker_seen_seconds
    with open_database(settings) as database, database.read() as session:
        seen = is_seen(session, name=settings.slot, host=settings.host_name, within_seconds=seconds)
    if not seen:
        raise Unhealthy(f"{settings.slot} on {settings.host_name} was not seen in the last {seconds:g} s")
    return f"{settings.slot} was seen in the last {seconds:g} s"


def _check_housekeeping(settings: Settings) -> str:
    from jobs.files.storage import Storage

    seconds = SWEEPS_MISSED * settings.sweep_seconds
    age_seconds = Storage(settings.data_dir).get_sweep_age_seconds(settings.host_name)
    if age_seconds is None or age_seconds > seconds:
        raise Unhealthy(f"no sweep of {settings.host_name} has ended in the last {seconds:g} s")
    return f"the last sweep was {max(age_seconds, 0):.0f} s ago"
