"""Speed and peak memory of a CPU training that returns large blocks to the system, and of one that keeps all memory.

    python benchmarks/trainer_memory.py BASE_MODEL_FOLDER [ROUNDS]

The first has BOUND_MEMORY of worker/trainers/environment.py in its environment. The two alternate; both results of each
round and the ratios of the medians are printed. After `make demo` a base model is in data/models/gemma-3-270m.
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
from emomodel.protocol.train_request import TrainRequest
from jobs.settings import GIB
from worker.trainers.environment import BOUND_MEMORY

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "chats.jsonl"
# The heap grows with each new length of a batch.
STEPS = 31
KEPT = {"MALLOC_MMAP_THRESHOLD_": str(4 * GIB), "MALLOC_TRIM_THRESHOLD_": str(16 * GIB)}


def measure(base: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Return the tokens per second, and the peak of memory in GiB, at the last step."""
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
    return float(metrics[-1]["tokens_per_second"]), metrics[-1]["memory_bytes"] / GIB


def main() -> None:
    base = Path(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    kept, bound = [], []
    for number in range(rounds):
        kept.append(measure(base, KEPT))
        bound.append(measure(base, BOUND_MEMORY))
        words = [f"{speed:.0f} tokens/s, {peak:.1f} GiB" for speed, peak in (kept[-1], bound[-1])]
        print(f"round {number + 1}: kept {words[0]}; given back {words[1]}", flush=True)
    for what, index in (("speed", 0), ("peak memory", 1)):
        ratio = statistics.median(each[index] for each in bound) / statistics.median(each[index] for each in kept)
        print(f"{what}: {ratio:.2f} of that of the training which keeps all memory")


main()
