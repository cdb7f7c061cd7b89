"""Child processes of a stack: each in a session of its own, with a log file, ended by pid and never by name."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.05


@dataclass
class Process:
    """A running child: what it is called, its log, and how long it may take to end after SIGTERM."""

    name: str
    log_path: Path
    popen: "subprocess.Popen[bytes]"
    stop_seconds: float

    @property
    def is_running(self) -> bool:
        return self.popen.poll() is None

    def describe_end(self) -> str:
        """Describe how an ended process ended: its exit code, or the signal that killed it."""
        code = self.popen.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def read_log_tail(self, line_count: int = 15) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-line_count:])

    def stop(self) -> None:
        """Send SIGTERM to the child, which ends its own children, and SIGKILL to its group when the time is up."""
        if self.is_running:
            self.popen.terminate()
            try:
                self.popen.wait(self.stop_seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


def keep_private() -> None:
    """Make the files that this process and its children write readable for their own account only.

    Datasets, database and logs hold what teams have written.
    """
    os.umask(0o077)


def start_process(
    name: str,
    argv: Sequence[str],
    *,
    log_path: Path,
    environment: Mapping[str, str],
    stop_seconds: float,
    cwd: Path | None = None,
) -> Process:
    """Start a child whose output goes to the log. Its session is its own, so that Ctrl-C reaches only the parent.

    `cwd` is its working folder; the default is that of this process.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        popen = subprocess.Popen(  # noqa: S603  an argv list of ours, no shell
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            cwd=cwd,
        )
    return Process(name, log_path, popen, stop_seconds)


def write_roster(path: Path, processes: Sequence[Process]) -> None:
    """Record the started processes, so that a later start can end those that a killed parent left behind."""
    roster = [{"pid": p.popen.pid, "created_at": _get_created_at(p.popen.pid), "name": p.name} for p in processes]
    path.write_text(json.dumps(roster))


def end_leftovers(path: Path, stop_seconds: float) -> list[str]:
    """End the processes of an earlier roster that still run; returns their names. A reused PID is left alone."""
    if not path.is_file():
        return []
    left = [
        (entry["name"], psutil.Process(entry["pid"]))
        for entry in json.loads(path.read_text())
        if _get_created_at(entry["pid"]) == entry["created_at"] is not None
    ]
    for _, process in left:
        process.terminate()
    _, alive = psutil.wait_procs([process for _, process in left], timeout=stop_seconds)
    for process in alive:
        process.kill()
    path.unlink()
    return [name for name, _ in left]


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll the condition. Returns False if the time is up first."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _get_created_at(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None
