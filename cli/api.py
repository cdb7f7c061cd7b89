"""`emotune api`: the web process, or a few of them that answer on one port."""

import contextlib
import gc
import multiprocessing
import os
import sys
import tempfile
import threading
from multiprocessing.process import BaseProcess

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from api.telemetry.request_meter import COUNTS_VARIABLE
from cli.database import refuse_other_schema
from jobs.python_processes import SAFE_PATH
from jobs.settings import Settings, load_settings
from jobs.telemetry.logs import configure_logging

# Those who follow a job's live feed would else hold up a shutdown for as long as the job runs.
SHUTDOWN_SECONDS = 3

# A connection that nobody uses is kept for so long: longer than nginx keeps those to a server behind it, and than
# clients pause between two polls. Where the server is the first to close one, the next request may be on its way just
# then, and fail.
KEEP_ALIVE_SECONDS = 75

# How long a thread that computes, such as one that validates an upload, keeps Python from those that wait to answer a
# poll. Each waits many times on its way, and by Python's 5 ms a poll would take a tenth of a second beside an upload.
SWITCH_SECONDS = 0.0005

# One of several processes that doesn't say for so long that it is well is replaced.
SILENT_SECONDS = 30


def run_api(settings: Settings) -> None:
    """Returns when the process was told to stop and has. Raises SystemExit where it could not begin."""
    configure_logging(settings.log_level, settings.log_format)
    refuse_other_schema(settings)
    config = uvicorn.Config(
        "cli.api:make_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.api_processes,
        access_log=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=SILENT_SECONDS,
    )
    if settings.api_processes == 1:
        server = uvicorn.Server(config)
        with contextlib.suppress(KeyboardInterrupt):
            server.run()
        has_begun = server.started
    else:
        has_begun = _run_several(config)
    if not has_begun:
        sys.exit(STARTUP_FAILURE)


def make_app() -> FastAPI:
    """What uvicorn calls in each process that answers."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_SECONDS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), name="leave-with-parent", daemon=True).start()
    # The process that watches over several of these has no use for it.
    from api.main import create_app

    app = create_app(settings)
    # What is there now stays. To look through its 180,000 objects at each full collection takes a tenth of a second of
    # this core alone, several times a minute, in which nobody is answered.
    gc.freeze()
    return app


def _leave_with(parent: BaseProcess) -> None:
    """Without the one that watches over it a process would go on, at the port that the next `emotune api` wants."""
    parent.join()
    os._exit(1)


def _run_several(config: uvicorn.Config) -> bool:
    """Until told to stop. One that dies is replaced. False where they can't begin."""
    with tempfile.TemporaryDirectory(prefix="emotune-api-") as folder:
        # Each is a new Python, which would look for the standard library in the working folder first.
        os.environ.update(SAFE_PATH | {COUNTS_VARIABLE: folder})
        supervisor = Multiprocess(config, [config.bind_socket()])
        supervisor.run()
    return all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)
