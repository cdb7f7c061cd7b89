"""A stack that many tests use one after the other, reset between them, as starting one takes seconds."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from cli.client import ApiError
from cli.stack import STOP_SECONDS
from jobs.settings import Settings
from tests.support.brakes import Brake
from tests.support.stacks import Installation, run_installation
from tests.support.waiting import wait_for

OPEN_STATUSES = ("running", "queued", "paused")


class StandingStack:
    """Started when it is first asked for. The brake's variables have to be in the environment then."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._settings = settings
        self._exits = ExitStack()
        self._installation: Installation | None = None
        self.brake = Brake(folder / "brake")
        self.brake.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self.brake.__exit__(kind, error, trace)

    def start(self) -> Installation:
        """The stack as after a start: nothing runs or waits, and nothing is held back."""
        if self._installation is None:
            self._installation = self._exits.enter_context(run_installation(self._settings, self.brake))
        return self._installation

    def put_in_order(self) -> None:
        """Reset what a test has left: end its own processes, start missing ones, cancel jobs.

        If that fails, the stack is stopped, and started again for the next test.
        """
        self.brake.release()
        try:
            if self._installation is not None:
                _repair_processes(self._installation)
                _end_jobs(self._installation)
                _free_slot(self._installation)
        except BaseException:
            self._stop()
            raise
        self.brake.events.clear()

    def _stop(self) -> None:
        self._installation = None
        self._exits.close()


def _repair_processes(installation: Installation) -> None:
    stack = installation.stack
    for process in list(stack.processes):
        is_ours = process.name in ("valkey", "api", stack.settings.slot, "housekeeping")
        if not is_ours or not process.is_running:
            installation.kill_worker(process)
    installation.end()
    names = {process.name for process in stack.processes}
    if "valkey" not in names:
        installation.start_valkey()
    if "api" not in names:
        stack._start("api", "api", stop_seconds=STOP_SECONDS)
    if stack.settings.slot not in names:
        installation.start_slot_worker()
    if "housekeeping" not in names:
        stack._start("housekeeping", "worker", "--housekeeping", stop_seconds=STOP_SECONDS)
    stack._wait_ready()


def _end_jobs(installation: Installation) -> None:
    for status in OPEN_STATUSES:
        for job in installation.client._request("GET", f"/jobs?status={status}&limit=200")["items"]:
            _cancel(installation, job["id"])


def _cancel(installation: Installation, job_id: str) -> None:
    try:
        installation.client.ask_of_job(job_id, "cancel")
    except ApiError:
        # It has just ended.
        return
    # A training process that imports its libraries handles no request for seconds.
    for trainer in installation.list_trainers():
        trainer.kill()
    installation.wait_for_status(job_id, "cancelled", "succeeded", "failed")


def _free_slot(installation: Installation) -> None:
    name = installation.stack.settings.slot
    if installation.get_slots()[name]["status"] == "drained":
        installation.client.resume_slot(name)
    wait_for(lambda: installation.get_slots()[name]["status"] == "idle" and not installation.list_trainers())
