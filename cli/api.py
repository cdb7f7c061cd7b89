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

# Otherwise clients of a job's live feed would delay a shutdown for as long as the job runs.
SHUTDOWN_SECONDS = 3

# An idle connection is kept for this long: longer than nginx keeps its connections to the server behind it, and than
# clients pause between two polls. If the server closes a connection first, the next request may already be on its way,
# and fail.
KEEP_ALIVE_SECONDS = 75

# How long a thread that computes, such as one that validates an upload, may keep Python from threads that answer polls.
# Each of those waits many times, and with Python's 5 ms a poll would take a tenth of a second during an upload.
SWITCH_SECONDS = 0.0005

# If there are several processes, one that gives no sign of health for this long is replaced.
SILENT_SECONDS = 30


def run_api(settings: Settings) -> None:
    """Serve the API until the process is asked to stop. Raises SystemExit if it can't start."""
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
    """Make the app; uvicorn calls this in each process that serves requests."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    sys.setswitchinterval(SWITCH_SECONDS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_with, args=(parent,), name="leave-with-parent", daemon=True).start()
    # Imported here, as the process that supervises several of these doesn't need it.
    from api.main import create_app

    app = create_app(settings)
    # The objects that exist now stay. Checking these 180,000 objects at each full collection takes a tenth of a second,
    # several times a minute, in which no request is answered.
    gc.freeze()
    return app


def _leave_with(parent: BaseProcess) -> None:
    """End this process with its supervisor; otherwise it would keep the port that the next `emotune api` needs."""
    parent.join()
    os._exit(1)


def _run_several(config: uvicorn.Config) -> bool:
    """Run several processes until asked to stop, replacing those that die. Returns False if they can't start."""
    with tempfile.TemporaryDirectory(prefix="emotune-api-") as folder:
        # Each is a new Python, which would look for the standard library in the working folder first.
        os.environ.update(SAFE_PATH | {COUNTS_VARIABLE: folder})
        supervisor = Multiprocess(config, [config.bind_socket()])
        supervisor.run()
    return all(process.exitcode != STARTUP_FAILURE for process in supervisor.processes)
