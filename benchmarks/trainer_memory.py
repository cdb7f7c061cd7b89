"""Steps per second of a CPU training with and without KEEP_MEMORY (worker/environment.py), in turns, in one run.

    python benchmarks/trainer_memory.py BASE_MODEL_FOLDER [ROUNDS]

Prints tokens/s of each round and the ratio of the medians. The base model: data/models/gemma-3-270m after `make demo`.
"""

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from emomodel.config import TrainConfig
from emomodel.request import TrainRequest
from worker.environment import KEEP_MEMORY

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "chats.jsonl"
STEPS = 8


def measure(base: Path, environment: dict[str, str]) -> float:
    """Tokens per second at the last of a few steps."""
    with tempfile.TemporaryDirectory(prefix="emotune-bench-") as scratch:
        folder = Path(scratch)
        request = TrainRequest(
            dataset_path=SAMPLES,
            dataset_name=SAMPLES.name,
            dataset_sha256=hashlib.sha256(SAMPLES.read_bytes()).hexdigest(),
            base_model=base.name,
            base_model_path=str(base),
            config=TrainConfig(max_steps=STEPS, max_length=128),
            output_dir=folder / "output",
        )
        path = folder / "request.json"
        path.write_text(request.model_dump_json())
        argv = [sys.executable, "-m", "emomodel", "train", str(path)]
        done = subprocess.run(argv, env=os.environ | environment, check=True, capture_output=True, text=True)
    metrics = [line for line in map(json.loads, done.stdout.splitlines()) if line["type"] == "metric"]
    return float(metrics[-1]["tokens_per_second"])


def main() -> None:
    base = Path(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    without, with_kept = [], []
    for number in range(rounds):
        without.append(measure(base, {}))
        with_kept.append(measure(base, KEEP_MEMORY))
        print(f"round {number + 1}: {without[-1]:.0f} tokens/s without, {with_kept[-1]:.0f} with", flush=True)
    print(f"ratio {statistics.median(with_kept) / statistics.median(without):.2f}")


main()
