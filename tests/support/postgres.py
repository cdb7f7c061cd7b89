"""A PostgreSQL cluster for tests: a temporary folder, a free port, no other data."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import find_free_port

START_SECONDS = 30.0
USER = "emotune"


def find_postgres_binaries() -> Path | None:
    """Find the folder with initdb and postgres of the newest version installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class PostgresServer:
    """One cluster in a folder, on a port that stays the same from start to start."""

    def __init__(self, binaries: Path, folder: Path, *, syncs: bool = False) -> None:
        """`syncs`: whether each commit waits for the disk, which is useless unless a machine may crash."""
        self._syncs = syncs
        self._binaries = binaries
        self._folder = folder
        self._port = find_free_port()
        self._as_owner = make_owner_prefix(folder)
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL up to the database's name, with the slash."""
        return f"postgresql://{USER}@127.0.0.1:{self._port}/"

    @property
    def is_running(self) -> bool:
        return self._server is not None and self._server.poll() is None

    def create(self) -> None:
        """Create the cluster's files."""
        initdb = str(self._binaries / "initdb")
        argv = [initdb, "-D", str(self._data), "-U", USER, "--auth=trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*self._as_owner, *argv], check=True, capture_output=True, cwd=self._folder)

    def start(self) -> None:
        """Start the server and wait until it answers; returns at once if it is running."""
        if self.is_running:
            return
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._folder),
            "fsync": "on" if self._syncs else "off",
            "max_connections": "200",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "postgres.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*self._as_owner, str(self._binaries / "postgres"), "-D", str(self._data), *settings],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        _wait_ready(self._binaries, self._port, self._server)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server. SIGINT is the fast shutdown, which ends all sessions; SIGQUIT stops it as in a crash."""
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(START_SECONDS)
            self._server = None

    @property
    def _data(self) -> Path:
        return self._folder / "cluster"


@contextmanager
def run_postgres(binaries: Path, folder: Path, *, syncs: bool = False) -> Iterator[str]:
    """A running server; yields its URL up to the database's name, with the slash."""
    server = PostgresServer(binaries, folder, syncs=syncs)
    server.create()
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


def create_database(binaries: Path, server_url: str, name: str) -> str:
    """Create an empty database; returns its URL."""
    subprocess.run(
        [str(binaries / "psql"), f"{server_url}postgres", "-q", "-c", f'CREATE DATABASE "{name}"'],
        check=True,
        capture_output=True,
    )
    return f"{server_url}{name}"


def make_owner_prefix(folder: Path) -> list[str]:
    """For root, which PostgreSQL refuses: the beginning of an argv that runs as its own user, which gets the folder."""
    if os.geteuid() != 0:
        return []
    shutil.chown(folder, "postgres")
    for parent in (folder, *folder.parents):
        if parent.owner() in {"root", "postgres"} and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    # setpriv replaces itself, so that the pid is the server's own.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]


def _wait_ready(binaries: Path, port: int, server: "subprocess.Popen[bytes]") -> None:
    command = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-U", USER, "-d", "postgres"]
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run(command, check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL did not start")
        time.sleep(0.1)
