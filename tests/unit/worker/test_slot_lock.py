"""One run at a time on a slot of this machine."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from worker.slot_lock import hold_slot

HOLD = """
import sys, time
from pathlib import Path
from worker.slot_lock import hold_slot
with hold_slot(Path(sys.argv[1]), "slot-0") as lock:
    print(lock is not None, flush=True)
    sys.stdin.read()
"""
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_another_process_does_not_get_a_slot_that_is_held(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with hold_slot(tmp_path, "slot-0") as lock:
            assert lock is None
        with hold_slot(tmp_path, "slot-1") as other:
            assert other is not None
        holder.kill()
    with hold_slot(tmp_path, "slot-0") as lock:
        assert lock is not None, "the death of its holder frees a slot"


def test_a_training_process_that_outlived_its_supervisor_is_killed_by_the_next_one(tmp_path: Path) -> None:
    orphan = subprocess.Popen(SLEEPER, start_new_session=True)
    with hold_slot(tmp_path, "slot-0") as lock:
        assert lock is not None
        lock.note_trainer(orphan.pid)
    with hold_slot(tmp_path, "slot-0") as lock:
        assert lock is not None
        lock.end_left_over()
    assert orphan.wait(10) == -9


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_a_process_that_has_only_the_number_is_left_alone(tmp_path: Path, is_forgotten: bool) -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    with hold_slot(tmp_path, "slot-0") as lock:
        assert lock is not None
        lock.note_trainer(stranger.pid)
        if is_forgotten:
            lock.forget_trainer()
        else:
            created = psutil.Process(stranger.pid).create_time()
            path = tmp_path / "slots" / "slot-0.lock"
            path.write_text(f'{{"pid": {stranger.pid}, "created": {created - 3600}}}')
        lock.end_left_over()
    time.sleep(0.1)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
