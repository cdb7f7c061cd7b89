"""The child processes of a stack: started, stopped by pid, and found again after their parent was killed."""

import os
import sys
from pathlib import Path

import psutil
import pytest

from cli.processes import Process, end_leftovers, start_process, write_roster

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def start(tmp_path: Path, argv: list[str], stop_seconds: float = 5) -> Process:
    process = start_process(
        "sleeper", argv, log_path=tmp_path / "logs" / "x.log", environment=os.environ, stop_seconds=stop_seconds
    )
    while not process.read_log_tail():
        assert process.is_running
    return process


def test_a_child_has_a_session_and_a_log_of_its_own_and_ends_when_asked(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER)
    assert os.getsid(process.popen.pid) == process.popen.pid
    process.stop()
    assert not process.is_running
    assert process.read_log_tail() == "up"


def test_a_child_that_ignores_the_request_is_killed_when_its_time_is_up(tmp_path: Path) -> None:
    process = start(tmp_path, STUBBORN, stop_seconds=0.2)
    process.stop()
    assert process.popen.returncode == -9


def test_what_a_killed_parent_left_behind_is_ended_at_the_next_start(tmp_path: Path) -> None:
    process = start(tmp_path, SLEEPER)
    roster = tmp_path / "stack.json"
    write_roster(roster, [process])
    assert end_leftovers(roster, stop_seconds=5) == ["sleeper"]
    assert not psutil.pid_exists(process.popen.pid)
    process.stop()
    assert not roster.exists()


def test_a_pid_that_belongs_to_somebody_else_now_is_left_alone(tmp_path: Path) -> None:
    roster = tmp_path / "stack.json"
    own = psutil.Process()
    roster.write_text(f'[{{"pid": {own.pid}, "created_at": {own.create_time() - 100}, "name": "old"}}]')
    assert end_leftovers(roster, stop_seconds=1) == []


def test_no_roster_means_nothing_to_end(tmp_path: Path) -> None:
    assert end_leftovers(tmp_path / "stack.json", stop_seconds=1) == []


@pytest.mark.parametrize("missing_pid", [2**22 - 1])
def test_a_pid_that_has_gone_is_no_error(tmp_path: Path, missing_pid: int) -> None:
    roster = tmp_path / "stack.json"
    roster.write_text(f'[{{"pid": {missing_pid}, "created_at": null, "name": "gone"}}]')
    assert end_leftovers(roster, stop_seconds=1) == []
