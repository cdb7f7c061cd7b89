"""The embedded stack: Valkey, the API, one slot's worker and the housekeeping worker as children of one command.

data/logs/{valkey,api,slot-0,housekeeping}.log     the log of each of them
data/stack.lock                                    a lock: one stack on a data folder
"""

import fcntl
import json
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import httpx2

from cli import valkey
from cli.absolute_paths import with_absolute_paths
from cli.credentials import Credentials, find_local_credentials, write_local_credentials
from cli.database import open_database
from cli.errors import CliError
from cli.migrate import migrate
from cli.processes import Process, end_leftovers, start_process, wait_until, write_roster
from jobs.access.teams import authenticate, create_key, get_or_create_team
from jobs.database.engine import Database
from jobs.errors import ApiKeyInvalid
from jobs.python_processes import SAFE_PATH, make_python_argv
from jobs.settings import Settings

START_SECONDS = 30
STOP_SECONDS = 10

# What has to work before the stack counts as started. A nearly full disk does not prevent that.
NEEDED_CHECKS = ("database", "redis", "worker")
SHORT_SLOT = "slot-0"
FIRST_TEAM = "default"
FIRST_KEY = "local"


class StackError(CliError):
    """The stack can't be started."""


class Stack:
    """A context manager that starts the stack on entry, and stops what it started on exit."""

    def __init__(self, settings: Settings) -> None:
        self.settings = _with_short_slot(settings)
        self.processes: list[Process] = []
        self.api_key = ""
        # Why slots take no jobs although their worker is there, in a line each.
        self.obstacles: list[str] = []
        self._lock: TextIO | None = None
        self._roster_path = settings.data_dir / "stack.json"

    def __enter__(self) -> Self:
        # It holds the teams' chats: a folder that is made here is for its owner only.
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._take_lock()
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The API's address, once the stack has started."""
        return f"http://{self.settings.host}:{self.settings.port}"

    def start(self) -> None:
        """Start the processes; returns when the API reports that it is ready. Raises StackError."""
        end_leftovers(self._roster_path, STOP_SECONDS)
        # Only now, as leftover processes may have held the port.
        port = _find_free_port(self.settings.host, self.settings.port)
        self.settings = self.settings.model_copy(update={"port": port})
        if self.settings.redis_url is None:
            self._start_valkey()
        migrate(self.settings)
        self._start("api", "api", stop_seconds=STOP_SECONDS)
        worker_stop_seconds = self.settings.stop_grace_seconds + self.settings.kill_grace_seconds + STOP_SECONDS
        self._start(self.settings.slot, "worker", stop_seconds=worker_stop_seconds)
        self._start("housekeeping", "worker", "--housekeeping", stop_seconds=STOP_SECONDS)
        self.api_key = ensure_local_key(self.settings, self.url)
        self._wait_ready()

    def stop(self) -> None:
        """Stop the processes in the order of their dependencies: the API and the workers first, Valkey last."""
        for process in self.processes[1:]:
            if process.is_running:
                process.popen.terminate()
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        self._roster_path.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def get_process(self, name: str) -> Process:
        return next(process for process in self.processes if process.name == name)

    def find_dead(self) -> Process | None:
        """Return a child that ended by itself, or None."""
        return next((process for process in self.processes if not process.is_running), None)

    def _take_lock(self) -> TextIO:
        stream = (self.settings.data_dir / "stack.lock").open("w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise StackError(
                f"a stack already runs on {self.settings.data_dir}; stop it, or set EMOTUNE_DATA_DIR to another folder"
            ) from None
        return stream

    def _start_valkey(self) -> None:
        path = self.settings.redis_socket
        folder = self.settings.data_dir / "redis"
        for each in (folder, path.parent):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
            _check_private(each)
        argv = valkey.make_valkey_argv(path, folder)
        self._add("valkey", argv, stop_seconds=STOP_SECONDS)
        if not wait_until(lambda: valkey.answers(self.settings.redis_client_url), seconds=START_SECONDS):
            raise StackError(f"Valkey doesn't answer. {self._explain(self.processes[-1])}")

    def _start(self, name: str, *arguments: str, stop_seconds: float) -> None:
        self._add(name, make_python_argv("-m", "cli", *arguments), stop_seconds=stop_seconds)

    def _add(self, name: str, argv: list[str], *, stop_seconds: float) -> None:
        data_dir = self.settings.data_dir
        process = start_process(
            name,
            argv,
            log_path=data_dir / "logs" / f"{name}.log",
            environment=os.environ | SAFE_PATH | make_environment(self.settings),
            stop_seconds=stop_seconds,
            cwd=data_dir,
        )
        self.processes.append(process)
        write_roster(self._roster_path, self.processes)

    def _wait_ready(self) -> None:
        missing: list[str] = ["api"]
        with httpx2.Client(base_url=self.url, timeout=START_SECONDS) as client:

            def is_ready_or_lost() -> bool:
                nonlocal missing
                try:
                    checks = client.get("/health/ready").json()["checks"]
                except httpx2.TransportError:
                    return self.find_dead() is not None
                missing = [name for name in NEEDED_CHECKS if not checks[name]["ok"]]
                if missing == ["worker"]:
                    self.obstacles = self._list_obstacles(client)
                    missing = [] if self.obstacles else missing
                return not missing or self.find_dead() is not None

            ready = wait_until(is_ready_or_lost, seconds=START_SECONDS)
        dead = self.find_dead()
        if dead is not None:
            raise StackError(f"{dead.name} ended at once ({dead.describe_end()}). {self._explain(dead)}")
        if not ready:
            what = ", ".join(missing)
            raise StackError(f"not ready after {START_SECONDS} s: {what}. {self._explain(self.get_process('api'))}")

    def _list_obstacles(self, client: httpx2.Client) -> list[str]:
        """A worker that is there and can't train is no reason to stop: what it lacks may be installed meanwhile."""
        answer = client.get("/slots", headers={"Authorization": f"Bearer {self.api_key}"})
        slots = answer.json()["items"]
        return [f"{slot['name']}: {slot['blocked_reason']}" for slot in slots if slot["status"] == "blocked"]

    @staticmethod
    def _explain(process: Process) -> str:
        return f"The last lines of {process.log_path}:\n{process.read_log_tail()}"


def _with_short_slot(settings: Settings) -> Settings:
    """Give the slot a name without the host's, which may change: a database in the folder serves one machine."""
    if settings.database_url is not None or "slot" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"slot": SHORT_SLOT})


def make_environment(settings: Settings) -> dict[str, str]:
    """Return the EMOTUNE_* variables that make a child's Settings equal to these, whatever folder it works in."""
    values = with_absolute_paths(settings).model_dump(mode="json", exclude_defaults=True)
    values |= {"data_dir": str(settings.data_dir)}
    return {
        f"EMOTUNE_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value is not None
    }


def ensure_local_key(settings: Settings, url: str) -> str:
    """Return the local user's key: the one in the data folder, or else a new one, which is written there.

    The owner of the data folder can make any key, so this one is an operator's.
    """
    local = find_local_credentials(settings.data_dir)
    with open_database(settings) as database:
        if local is not None and _is_valid(database, local.api_key):
            secret = local.api_key
        else:
            with database.write() as session:
                team = get_or_create_team(session, name=FIRST_TEAM)
                _, secret = create_key(session, team=team, name=FIRST_KEY, is_operator=True)
    write_local_credentials(settings.data_dir, Credentials(url=url, api_key=secret))
    return secret


def _is_valid(database: Database, secret: str) -> bool:
    try:
        with database.read() as session:
            authenticate(session, secret=secret)
    except ApiKeyInvalid:
        return False
    return True


def _check_private(folder: Path) -> None:
    """Refuse a folder in which another account could put a server at the socket's place. Raises StackError."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StackError(f"{folder} belongs to another account, or other accounts can write to it; remove it")


def _find_free_port(host: str, wanted: int) -> int:
    """Return the wanted port, or any free one if it is taken. Raises StackError."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StackError(f"no port is free on {host}")
