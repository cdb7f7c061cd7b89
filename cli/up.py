"""`emotune up`: the stack on one machine, until Ctrl-C."""

import time

from cli.credentials import Credentials
from cli.dashboard import make_login_link
from cli.demo import SAMPLE_MODEL, with_sample_model
from cli.emomodel_process import prepare_sample_model
from cli.stack import Stack, StackError
from jobs.settings import Settings

WATCH_SECONDS = 1.0


def run_up(settings: Settings, *, sample_model: bool) -> None:
    """Run the stack until Ctrl-C. Raises StackError, also when one of its processes ends by itself, and ChildFailed."""
    with_sample, folder = with_sample_model(settings)
    if sample_model or folder.is_dir():
        settings = with_sample
    started = time.monotonic()
    with Stack(settings) as stack:
        if settings.port not in (0, stack.settings.port):
            print(f"port {settings.port} is taken, so the API is on {stack.settings.port}")
        print(f"ready after {time.monotonic() - started:.1f} s; logs in {settings.data_dir / 'logs'}")
        for obstacle in stack.obstacles:
            print(f"warning: no job can run on {obstacle}")
        print(f"\n  export EMOTUNE_URL={stack.url}\n  export EMOTUNE_API_KEY={stack.api_key}\n")
        link = make_login_link(Credentials(url=stack.url, api_key=stack.api_key))
        print(f"dashboard: {link}\nThe link works once; `emotune dashboard` prints another.")
        print(f"The API is described in docs/api.md and at {stack.url}/openapi.json. Press Ctrl-C to stop.", flush=True)
        try:
            if sample_model:
                prepare_sample_model(folder, log_path=settings.data_dir / "logs" / "sample-model.log")
                print(f"base model {SAMPLE_MODEL} is ready", flush=True)
            while (dead := stack.find_dead()) is None:
                time.sleep(WATCH_SECONDS)
        except KeyboardInterrupt:
            print("stopping ...", flush=True)
            return
        raise StackError(
            f"{dead.name} ended ({dead.describe_end()}), so the stack was stopped; the last lines of {dead.log_path}:\n"
            f"{dead.read_log_tail()}"
        )
