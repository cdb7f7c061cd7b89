"""One run at a time on a slot of this machine."""

import json
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from worker.slot.lock import SlotLock, get_lock_path, has_living_trainer, hold_slot

HOLD = """
import sys
from pathlib import Path
from worker.slot.lock import hold_slot
with hold_slot(Path(sys.argv[1]), "slot-0", host="box", boot_id="this-boot") as lock:
    print(lock is not None, flush=True)
    sys.stdin.read()
"""
SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


def hold(
    data_dir: Path, slot: str = "slot-0", *, host: str = "box", boot_id: str = "this-boot"
) -> AbstractContextManager[SlotLock | None]:
    return hold_slot(data_dir, slot, host=host, boot_id=boot_id)


def test_another_process_does_not_get_a_slot_that_is_held(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with hold(tmp_path) as lock:
            assert lock is None
        with hold(tmp_path, "slot-1") as other:
            assert other is not None
        with hold(tmp_path, host="other-box") as elsewhere:
            assert elsewhere is not None, "each host has locks of its own"
        holder.kill()
    with hold(tmp_path) as lock:
        assert lock is not None, "the death of its holder frees a slot"


def test_a_training_process_that_outlived_its_supervisor_is_killed_by_the_next_one(tmp_path: Path) -> None:
    orphan = subprocess.Popen(SLEEPER, start_new_session=True)
    with hold(tmp_path) as lock:
        assert lock is not None
        lock.note_trainer(orphan.pid)
    assert has_living_trainer(get_lock_path(tmp_path, "slot-0", host="box"), boot_id="this-boot")
    with hold(tmp_path) as lock:
        assert lock is not None
        lock.end_left_over()
    assert orphan.wait(10) == -9
    assert not has_living_trainer(get_lock_path(tmp_path, "slot-0", host="box"), boot_id="this-boot")


@pytest.mark.parametrize("case", ["forgotten", "started at another time", "of an earlier boot", "of another host"])
def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path, case: str) -> None:
    stranger = subprocess.Popen(SLEEPER, start_new_session=True)
    with hold(tmp_path) as lock:
        assert lock is not None
        lock.note_trainer(stranger.pid)
        if case == "forgotten":
            lock.forget_trainer()
        elif case == "started at another time":
            created = psutil.Process(stranger.pid).create_time()
            note = {"pid": stranger.pid, "created": created - 3600, "boot_id": "this-boot"}
            get_lock_path(tmp_path, "slot-0", host="box").write_text(json.dumps(note))
    boot_id = "next-boot" if case == "of an earlier boot" else "this-boot"
    host = "other-box" if case == "of another host" else "box"
    assert not has_living_trainer(get_lock_path(tmp_path, "slot-0", host=host), boot_id=boot_id)
    with hold(tmp_path, host=host, boot_id=boot_id) as lock:
        assert lock is not None
        lock.end_left_over()
    time.sleep(0.1)
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


@pytest.mark.parametrize("content", ["", "{}", '{"pid": 12, "crea', '{"pid": 12, "created": 1.0}'])
def test_a_note_that_is_empty_broken_or_of_an_earlier_release_names_nobody(tmp_path: Path, content: str) -> None:
    path = get_lock_path(tmp_path, "slot-0", host="box")
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert not has_living_trainer(path, boot_id="this-boot")
    with hold(tmp_path) as lock:
        assert lock is not None
        lock.end_left_over()
    assert path.read_text() == ""


def test_what_is_left_of_the_last_run_can_be_ended_after_it_was_forgotten(tmp_path: Path) -> None:
    trainer = subprocess.Popen(SLEEPER, start_new_session=True)
    with hold(tmp_path) as lock:
        assert lock is not None
        assert lock.end_last_trainer() == 0
        lock.note_trainer(trainer.pid)
        lock.forget_trainer()
        assert lock.end_last_trainer() == 1
    assert trainer.wait(10) == -9
