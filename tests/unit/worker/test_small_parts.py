"""The worker's small parts: environment, out-of-memory counters, drain, the host."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from worker.host import get_boot_id
from worker.slot.oom import count_oom_kills
from worker.trainers.environment import BOUND_MEMORY, THREAD_VARIABLES, make_trainer_environment

CACHE = Path("/data/compiled/slot-0")


def test_a_training_process_gets_no_setting_of_ours() -> None:
    own = {"PATH": "/bin", "HF_HUB_OFFLINE": "1", "EMOTUNE_DATABASE_URL": "postgresql://user:secret@host/db"}
    environment = make_trainer_environment(own, threads=None, device="cpu", gpu_uuid=None, cache_folder=CACHE)
    assert {name: value for name, value in environment.items() if name not in BOUND_MEMORY} == {
        "PATH": "/bin",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def test_what_is_compiled_for_a_gpu_is_kept_unless_the_operator_has_a_place_for_it() -> None:
    environment = make_trainer_environment(
        {"TRITON_CACHE_DIR": "/fast"}, threads=None, device="cuda", gpu_uuid=None, cache_folder=CACHE
    )
    assert environment == {
        "PYTHONUNBUFFERED": "1",
        "TRITON_CACHE_DIR": "/fast",
        "TORCHINDUCTOR_CACHE_DIR": str(CACHE / "inductor"),
        "UNSLOTH_COMPILE_LOCATION": str(CACHE / "unsloth"),
    }


def test_the_thread_bound_goes_to_every_library() -> None:
    environment = make_trainer_environment(
        {"OMP_NUM_THREADS": "64"}, threads=2, device="cuda", gpu_uuid=None, cache_folder=CACHE
    )
    assert {environment[name] for name in THREAD_VARIABLES} == {"2"}


def test_a_trainer_sees_the_gpu_of_its_slot_alone() -> None:
    own = {"CUDA_VISIBLE_DEVICES": "0,1"}
    uuid = "GPU-3ab1f7c2"
    environment = make_trainer_environment(own, threads=None, device="cuda", gpu_uuid=uuid, cache_folder=CACHE)
    assert environment["CUDA_VISIBLE_DEVICES"] == uuid


def test_on_a_cpu_a_trainer_gives_large_blocks_back() -> None:
    assert (
        BOUND_MEMORY.items()
        <= make_trainer_environment({}, threads=None, device="cpu", gpu_uuid=None, cache_folder=CACHE).items()
    )


@pytest.mark.parametrize(
    ("content", "count"),
    [("low 0\noom 4\noom_kill 3\n", 3), ("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", 7), ("pgfault 5\n", 0)],
)
def test_oom_kills_are_read_as_the_kernel_writes_them(tmp_path: Path, content: str, count: int) -> None:
    group = tmp_path / "cgroup" / "box"
    group.mkdir(parents=True)
    (group / "memory.events").write_text(content)
    (tmp_path / "own").write_text("0::/box\n")
    found = count_oom_kills(
        own_cgroup=tmp_path / "own", cgroup_root=tmp_path / "cgroup", host_counters=tmp_path / "nothing"
    )
    assert found == count


FORK = """
import os
from worker.drain import Drain
drain = Drain()
child = os.fork()
if child == 0:
    while not drain.is_requested:
        pass
    os._exit(7)
print(drain.is_requested)
drain.request()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_drain_is_seen_through_a_fork() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout.split() == ["False", "7"]


ORPHAN = """
import os, sys, time
from worker.drain import leave_with_parent
if os.fork():
    time.sleep(0.3)
    os._exit(0)
leave_with_parent()
print("alive", flush=True)
time.sleep(60)
"""


def test_a_process_that_leaves_with_its_parent_does() -> None:
    """The output of such a process ends when the process does: if it stayed, the reading would time out."""
    done = subprocess.run([sys.executable, "-c", ORPHAN], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout == "alive\n"


def test_a_host_without_control_groups_counts_by_itself(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("pgfault 5\noom_kill 2\n")
    assert count_oom_kills(own_cgroup=tmp_path / "nothing", host_counters=tmp_path / "vmstat") == 2


def test_a_boot_has_an_id_that_stays(tmp_path: Path) -> None:
    assert get_boot_id() == get_boot_id() != ""
    (tmp_path / "boot_id").write_text("564f5371-0a74\n")
    assert get_boot_id(tmp_path / "boot_id") == "564f5371-0a74"


def test_without_an_id_of_the_kernel_a_boot_is_known_by_its_second(tmp_path: Path) -> None:
    assert get_boot_id(tmp_path / "nothing") == str(int(psutil.boot_time()))
