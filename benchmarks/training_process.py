"""Runs a training of emotune's in its real process, and returns the progress that it reports."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomodel.config import TrainConfig
from emomodel.protocol.train_request import TrainRequest

# The files of benchmarks.training_start.
CHATS_FILE = "chats.jsonl"
ORDER_FILE = "order.json"
WEIGHTS_FILE = "initial.safetensors"
MACHINE_FILE = "machine.json"
# The original project's batch.
BATCH_SIZE = 12
MAX_LENGTH = 128
# The batches of a comparison: the same examples each time, in an order that the kind of batches decides, at rates that
# don't change.
COMPARED: dict[str, Any] = {
    "batching": "packed",
    "epochs": 1000.0,
    "group_by_length": False,
    "schedule": "constant",
    "warmup_ratio": 0.0,
    "seed": 1,
}


@dataclass(frozen=True)
class Run:
    """The lines of progress, the exit code, and the seconds from the start of the process to its end."""

    lines: list[dict[str, Any]]
    exit_code: int
    seconds: float

    def select(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]

    @property
    def error(self) -> Any:
        """What a failed process reported last, or its exit code; None if it succeeded."""
        if self.exit_code == 0:
            return None
        return self.lines[-1] if self.lines else self.exit_code


def run_training(
    config: Mapping[str, Any], data: Path, base: Path, folder: Path, *, log: Path, environment: Mapping[str, str]
) -> Run:
    """Train on the chats of `data` in `folder`. What the process writes to standard error is appended to `log`."""
    request = TrainRequest(
        dataset_path=data,
        dataset_name=data.stem,
        dataset_sha256=hashlib.sha256(data.read_bytes()).hexdigest(),
        base_model=base.name,
        base_model_path=str(base),
        config=TrainConfig.model_validate(COMPARED | dict(config)),
        output_dir=folder / "output",
    )
    path = folder / "request.json"
    path.write_text(request.model_dump_json())
    argv = [sys.executable, "-m", "emomodel", "train", str(path)]
    started = time.monotonic()
    with log.open("ab") as stream:
        done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=stream, text=True, env=environment)
    seconds = time.monotonic() - started
    return Run([json.loads(line) for line in done.stdout.splitlines()], done.returncode, seconds)
