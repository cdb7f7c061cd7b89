"""A training process and its descendants: it leads its own session, so that all of them can be ended together."""

import contextlib
import os
import signal
import time

import psutil
import structlog

# SIGKILL works at once, except for a process inside an uninterruptible system call (a driver, a network disk).
KILL_WAIT_SECONDS = 10.0
KILL_POLL_SECONDS = 0.05

# psutil derives a process's start from the clock ticks since boot.
CREATED_TOLERANCE_SECONDS = 2.0

log = structlog.get_logger()


def send_signal(leader_pid: int, number: signal.Signals) -> None:
    """Send a signal to all members. Safe until the leader is reaped: no other process gets its pid before."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader_pid, number)


def list_members(leader_pid: int) -> list[psutil.Process]:
    """List the living processes of the session, without zombies, which hold nothing any more."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == leader_pid and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def kill_members(leader_pid: int) -> int:
    """Kill each member and wait until all are dead; survivors are logged. Returns how many there were."""
    deadline = time.monotonic() + KILL_WAIT_SECONDS
    found: set[int] = set()
    while members := list_members(leader_pid):
        found |= {process.pid for process in members}
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if time.monotonic() > deadline:
            log.error("process_group_survives", pids=[process.pid for process in members])
            break
        time.sleep(KILL_POLL_SECONDS)
    return len(found)


def is_same_group(leader_pid: int, created: float) -> bool:
    """Whether the group with this number is still the one whose leader started then (seconds since the epoch).

    While a group has members its number is not reused, so a group without a leader is the old one, or empty.
    """
    try:
        return _has_start(leader_pid, created)
    except psutil.NoSuchProcess:
        return True


def is_alive(pid: int, created: float) -> bool:
    """Whether the process that started then still has this pid."""
    try:
        return _has_start(pid, created)
    except psutil.NoSuchProcess:
        return False


def _has_start(pid: int, created: float) -> bool:
    return abs(psutil.Process(pid).create_time() - created) < CREATED_TOLERANCE_SECONDS
