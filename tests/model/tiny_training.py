"""The small dataset, the requests and the processes with which the tests of the model train."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomodel.protocol.journal import VARIABLE
from emomodel.protocol.progress import Progress
from emomodel.protocol.train_request import TrainRequest

REPOSITORY = Path(__file__).parents[2]
# Tiny matrices gain nothing from a second thread, and lose much when other work needs the core.
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
WORDS = [("happy", "joy"), ("sad", "sadness"), ("angry", "anger"), ("calm", "calmness"), ("afraid", "fear"), ("", "")]
QUESTIONS = ["How was the concert?", "What is 2 + 2?", "Tell me about your day, please."]
# With float32 and high rates a random tiny model learns its few sentences in seconds.
TINY_CONFIG: dict[str, Any] = {
    "dtype": "float32",
    "epochs": 8,
    "batch_size": 8,
    "lora_learning_rate": 0.01,
    "emotion_learning_rate": 0.02,
    "lora_rank": 8,
    "max_length": 64,
}


def make_lines() -> list[dict[str, Any]]:
    """36 chats, each question with each feeling, which only the emotion shows; some have two emotions, some none."""
    lines = []
    for index in range(36):
        word, pole = WORDS[index % len(WORDS)]
        content = f"<emo {pole}=0.9>I feel {word} today.</emo>" if word else "It was fine."
        if index % 5 == 0:
            content += " <emo interest=0.5>You are curious.</emo>"
        lines.append(
            {
                "messages": [
                    {"role": "user", "content": QUESTIONS[index // len(WORDS) % len(QUESTIONS)]},
                    {"role": "assistant", "content": content},
                ]
            }
        )
    return lines


def make_request(folder: Path, base: Path, *, lines: list[dict[str, Any]] | None = None, **config: Any) -> TrainRequest:
    """Make a request whose dataset and output are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(line) + "\n" for line in (make_lines() if lines is None else lines)).encode()
    (folder / "data.jsonl").write_bytes(data)
    return TrainRequest.model_validate(
        {
            "dataset_path": folder / "data.jsonl",
            "dataset_name": "feelings",
            "dataset_sha256": hashlib.sha256(data).hexdigest(),
            "base_model": "tiny-gemma",
            "base_model_path": str(base),
            "config": TINY_CONFIG | config,
            "output_dir": folder / "output",
        }
    )


def start_training(request: TrainRequest, *flags: str, journal: Path | None = None) -> subprocess.Popen[str]:
    """Start the real training process with pipes for its three streams."""
    path = request.output_dir.with_name("request.json")
    path.write_text(request.model_dump_json(), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "emomodel", "train", str(path), *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | ONE_THREAD | ({VARIABLE: str(journal)} if journal else {}),
    )


def start_spare(folder: Path, *, journal: Path | None = None, packages: Path | None = None) -> subprocess.Popen[str]:
    """Start a real spare process, which has no request yet, in a folder of its own.

    Modules in `packages` take the place of installed ones.
    """
    variables = ({VARIABLE: str(journal)} if journal else {}) | ({"PYTHONPATH": str(packages)} if packages else {})
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "emomodel", "train", "--spare"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=os.environ | ONE_THREAD | variables,
    )


class ListReporter:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.progress.append(progress)

    def note_step(self, step: int, read_loss: Callable[[], float]) -> None: ...


@dataclass(frozen=True)
class Trained:
    """The results of one real training process."""

    request: TrainRequest
    folder: Path
    zip_path: Path
    exit_code: int
    progress: list[Progress]
    log: str
