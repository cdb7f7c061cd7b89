"""The installation under test: real processes, one by one, and a supervisor that starts again what has ended."""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from cli import valkey
from cli.processes import Process, start_process, wait_until
from cli.stack import make_environment
from jobs.settings import Settings
from tests.chaos.trainer import JOURNAL_VARIABLE, TEMPLATE_VARIABLE
from tests.support.postgres import PostgresServer
from tests.support.timeline import Timeline

# A variable in the environment of each process of one installation, and so of all that these start.
MARK_VARIABLE = "CHAOS_INSTALLATION"
START_SECONDS = 60.0
STOP_SECONDS = 40.0
# How soon a supervisor looks again; systemd and compose are about as quick.
WATCH_SECONDS = 0.2


@dataclass
class Component:
    """A process that should run. `restart_after` says how many seconds it stays away after its end."""

    name: str
    argv: list[str]
    settings: Settings
    restart_after: Callable[[], float]
    process: Process | None = None
    is_wanted: bool = True
    is_restart_planned: bool = False
    exit_codes: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int | None:
        """The id of the process, if it lives."""
        return self.process.popen.pid if self.process is not None and self.process.is_running else None


class System:
    """Valkey, the database, the API, the housekeeping and the slots' workers of one data folder."""

    def __init__(
        self,
        settings: Settings,
        *,
        timeline: Timeline,
        restart_after: Callable[[], float],
        slot_count: int,
        template: Path,
        postgres: PostgresServer | None,
    ) -> None:
        self.settings = settings
        self.postgres = postgres
        self.journal_path = settings.data_dir / "journal.jsonl"
        self._timeline = timeline
        self._environment = os.environ | {
            MARK_VARIABLE: str(settings.data_dir),
            JOURNAL_VARIABLE: str(self.journal_path),
            TEMPLATE_VARIABLE: str(template),
        }
        self.components: dict[str, Component] = {}
        self.slots = [f"slot-{number}" for number in range(slot_count)]
        self._add("valkey", valkey.make_valkey_argv(settings.redis_socket, self.redis_folder), settings, restart_after)
        self._add("api", [sys.executable, "-m", "cli", "api"], settings, restart_after)
        chaos_worker = [sys.executable, "-m", "tests.chaos.worker"]
        self._add("housekeeping", [*chaos_worker, "--housekeeping"], settings, restart_after)
        for slot in self.slots:
            self._add(slot, chaos_worker, settings.model_copy(update={"slot": slot}), restart_after)

    @property
    def redis_folder(self) -> Path:
        return self.settings.data_dir / "redis"

    def start(self) -> None:
        """Start all, Valkey first, and watch over them from now on."""
        for folder in (self.redis_folder, self.settings.redis_socket.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in self.components:
            self.start_component(name)
        self._timeline.every(WATCH_SECONDS, self._watch)

    def start_component(self, name: str) -> None:
        component = self.components[name]
        component.is_wanted, component.is_restart_planned = True, False
        if component.pid is not None:
            return
        component.process = self.start_extra(name, component.argv, component.settings)
        if name == "valkey":
            wait_until(lambda: valkey.answers(self.settings.redis_client_url), seconds=START_SECONDS)

    def is_complete(self) -> bool:
        """Whether every process that should run does."""
        return all(component.pid is not None for component in self.components.values() if component.is_wanted)

    def start_extra(self, name: str, argv: list[str], settings: Settings) -> Process:
        """Start an additional process, which is not restarted."""
        return start_process(
            name,
            argv,
            log_path=self.settings.data_dir / "logs" / f"{name}.log",
            environment=self._environment | make_environment(settings),
            stop_seconds=STOP_SECONDS,
        )

    def find_pool_child(self, slot: str) -> psutil.Process | None:
        """The process of a slot's worker that supervises runs."""
        main_pid = self.components[slot].pid
        children = _list_children(main_pid)
        return children[0] if children else None

    def find_trainer(self, slot: str) -> psutil.Process | None:
        """The process that trains on a slot. Such a process works in the folder of its run."""
        return next((child for child in self._list_of_pool(slot) if self._is_in_run(child)), None)

    def find_spare(self, slot: str) -> psutil.Process | None:
        """The process of a slot that waits for its request."""
        return next((child for child in self._list_of_pool(slot) if not self._is_in_run(child)), None)

    def _list_of_pool(self, slot: str) -> list[psutil.Process]:
        child = self.find_pool_child(slot)
        return _list_children(child.pid if child is not None else None)

    def _is_in_run(self, process: psutil.Process) -> bool:
        try:
            return self.settings.data_dir / "runs" in Path(process.cwd()).parents
        except psutil.Error:
            return False

    def list_marked(self) -> list[psutil.Process]:
        """All living processes of this installation, regardless of their parent."""
        mark = str(self.settings.data_dir)
        return [process for process in psutil.process_iter() if _get_mark(process) == mark]

    def wipe_redis(self) -> None:
        """Delete what a server that has died had stored."""
        shutil.rmtree(self.redis_folder / "appendonlydir", ignore_errors=True)

    def stop(self) -> dict[str, int]:
        """End all in order, as an operator would; returns the exit codes of those that had to be killed."""
        for component in self.components.values():
            component.is_wanted = False
        slow = {}
        for name, component in self.components.items():
            if component.process is not None and component.pid is not None and name != "valkey":
                component.process.popen.terminate()
        for name in reversed(self.components):
            process = self.components[name].process
            if process is not None:
                process.stop()
                if process.popen.returncode == -signal.SIGKILL:
                    slow[name] = process.popen.returncode
        return slow

    def kill_all(self) -> None:
        """End all remaining processes after a run that failed."""
        for component in self.components.values():
            component.is_wanted = False
        for process in self.list_marked():
            process.kill()
        for component in self.components.values():
            if component.process is not None:
                # Valkey writes what `ps` shows over its environment, and so over the mark.
                component.process.popen.kill()
                component.process.popen.wait()

    def _add(self, name: str, argv: list[str], settings: Settings, restart_after: Callable[[], float]) -> None:
        self.components[name] = Component(name, argv, settings, restart_after)

    def _watch(self) -> None:
        for name, component in self.components.items():
            process = component.process
            has_ended = process is not None and not process.is_running
            if process is not None and has_ended and component.is_wanted and not component.is_restart_planned:
                component.exit_codes.append(process.popen.returncode)
                component.is_restart_planned = True
                self._timeline.after(component.restart_after(), lambda name=name: self._restart(name))  # type: ignore[misc]

    def _restart(self, name: str) -> None:
        if self.components[name].is_wanted:
            self.start_component(name)


def _list_children(pid: int | None) -> list[psutil.Process]:
    if pid is None:
        return []
    try:
        children = psutil.Process(pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    except psutil.NoSuchProcess:
        return []


def _get_mark(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get(MARK_VARIABLE)
    except psutil.Error:
        return None
