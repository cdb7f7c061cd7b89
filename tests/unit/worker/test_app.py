"""The Celery app: what importing it loads, and which tasks it registers."""

import subprocess
import sys
from pathlib import Path

from jobs.doorbell import COLLECT_TASK, RUN_TASK, SWEEP_TASK
from jobs.settings import Settings
from worker.app import make_worker

IMPORT = """
import socket, sys
def refuse(*_):
    raise AssertionError("importing the worker connects to something")
socket.socket.connect = refuse
import worker.app
heavy = {"torch", "transformers", "peft", "fastapi"} & set(sys.modules)
assert not heavy, heavy
"""


def test_importing_the_worker_loads_no_torch_and_connects_to_nothing(tmp_path: Path) -> None:
    environment = {
        "EMOTUNE_DATA_DIR": str(tmp_path / "data"),
        "EMOTUNE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x",
    }
    done = subprocess.run([sys.executable, "-c", IMPORT], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "data").exists()


def test_both_tasks_are_known_by_their_names(settings: Settings) -> None:
    assert {RUN_TASK, SWEEP_TASK, COLLECT_TASK} <= set(make_worker(settings).tasks)
