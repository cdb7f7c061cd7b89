"""The speed and memory of many kinds of training on one GPU, in the real training process.

benchmarks.training_proof compares the few that matter with the original project. These are for docs/memory.md and for
batches of other shapes.

    python -m scripts.make_gemma_shape FOLDER --shape 1b --vocabulary 262144
    python -m benchmarks.training_speed FOLDER RESULTS.json [--only NAME ...] [--seconds 500]

The chats are those of benchmarks/training_chats.py. All variants with one batch size take the same chats in the same
order, so that their losses can be compared (benchmarks.compare_losses). Speeds count tokens without padding, at the
median of the last half of the steps; the first step, which compiles, is reported separately. RESULTS.json is written
after each variant.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.training_chats import CHAT_COUNTS, FULL_ROW, make_chats
from benchmarks.training_process import run_training

PEAK_FLOPS = 790e12
# Floating-point operations for a token and parameter of a frozen base: forward, and backward for the activations only.
FLOPS_PER_PARAMETER_AND_TOKEN = 4


@dataclass(frozen=True)
class Variant:
    """A config, and the chats that it trains on: short ones, or with `full` rows of 1,024 tokens."""

    name: str
    data: str
    steps: int
    config: dict[str, Any] = field(default_factory=dict)


SEED_BATCH = {"batch_size": 12, "max_length": 128}
# 800 short chats are about 32,000 tokens.
LARGE_BATCH = {"batch_size": 800, "max_length": 128}
ROWS = {"batch_size": 8, "max_length": FULL_ROW}
PLAIN: dict[str, Any] = {"backend": "transformers", "acceleration": "off", "batching": "fixed", "load_in_4bit": False}
# Trained by Unsloth's own code.
UNSLOTH = {"backend": "unsloth", "batching": "packed", "acceleration": "off"}
OURS = {"backend": "transformers", "batching": "packed"}
IN_4_BITS, IN_16_BITS = {"load_in_4bit": True}, {"load_in_4bit": False}
IN_FLOAT32 = {"dtype": "float32"}

VARIANTS = [
    Variant("a: plain, 12x128", "short", 24, PLAIN | SEED_BATCH),
    Variant("a: plain, 8x1024", "full", 12, PLAIN | ROWS),
    # The same trainings as a, without the noise of 16 bits and with the noise of other shapes.
    Variant("exact: plain in float32, 12x128", "short", 24, PLAIN | SEED_BATCH | IN_FLOAT32),
    Variant(
        "exact: plain in float32, 8x1024", "full", 12, PLAIN | ROWS | IN_FLOAT32 | {"gradient_checkpointing": True}
    ),
    Variant("plain, 12 chats, dynamic padding", "short", 24, PLAIN | SEED_BATCH | {"batching": "dynamic"}),
    Variant(
        "b: Unsloth nf4, the seed's recipe, 12x128",
        "short",
        24,
        UNSLOTH | IN_4_BITS | SEED_BATCH | {"batching": "fixed", "acceleration": "off"},
    ),
    Variant("ours 16-bit, 12 chats", "short", 60, OURS | IN_16_BITS | SEED_BATCH),
    Variant("ours 16-bit, 12 chats, again with warm caches", "short", 60, OURS | IN_16_BITS | SEED_BATCH),
    Variant("ours 16-bit, 800 chats", "short", 24, OURS | IN_16_BITS | LARGE_BATCH),
    Variant("ours 16-bit, 8x1024", "full", 24, OURS | IN_16_BITS | ROWS),
    Variant(
        "ours 16-bit, 32x1024, checkpointing",
        "full",
        12,
        OURS | IN_16_BITS | ROWS | {"batch_size": 32, "gradient_checkpointing": True},
    ),
    Variant("ours nf4, 12 chats", "short", 60, OURS | IN_4_BITS | SEED_BATCH),
    Variant("ours nf4, 800 chats", "short", 24, OURS | IN_4_BITS | LARGE_BATCH),
    Variant("ours nf4, 8x1024", "full", 24, OURS | IN_4_BITS | ROWS),
    Variant("Unsloth nf4, 12 chats packed", "short", 40, UNSLOTH | IN_4_BITS | SEED_BATCH),
    Variant("Unsloth nf4, 800 chats packed", "short", 16, UNSLOTH | IN_4_BITS | LARGE_BATCH),
    Variant("Unsloth 16-bit, 800 chats packed", "short", 16, UNSLOTH | IN_16_BITS | LARGE_BATCH),
    Variant("Unsloth 16-bit, 8x1024", "full", 16, UNSLOTH | IN_16_BITS | ROWS),
]


def measure(variant: Variant, base: Path, log: Path) -> dict[str, Any]:
    """Train, and summarise what the process reports."""
    with tempfile.TemporaryDirectory(prefix="emotune-bench-") as scratch:
        data = Path(scratch) / f"{variant.data}.jsonl"
        data.write_bytes(make_chats(variant.data, CHAT_COUNTS[variant.data]))
        config = variant.config | {"max_steps": variant.steps}
        run = run_training(config, data, base, Path(scratch), log=log, environment=os.environ)
    result: dict[str, Any] = {"name": variant.name, "data": variant.data, "config": variant.config}
    result["process_seconds"] = round(run.seconds, 1)
    result["notices"] = [line["message"] for line in run.select("notice")]
    if run.error is not None:
        return result | {"error": run.error}
    return result | summarise(run.select("metric"), int(variant.config["batch_size"]), base)


def summarise(metrics: list[dict[str, Any]], batch_size: int, base: Path) -> dict[str, Any]:
    """The speeds at the median of the last half of the steps."""
    late = metrics[len(metrics) // 2 - 1 :]
    step_seconds = statistics.median(
        after["elapsed_seconds"] - before["elapsed_seconds"] for before, after in itertools.pairwise(late)
    )
    tokens_per_step = (late[-1]["token_count"] - late[0]["token_count"]) / (len(late) - 1)
    flops = FLOPS_PER_PARAMETER_AND_TOKEN * _count_parameters(base) * tokens_per_step / step_seconds
    return {
        "step_ms": round(step_seconds * 1000, 1),
        "tokens_per_second": round(tokens_per_step / step_seconds),
        "samples_per_second": round(batch_size / step_seconds, 1),
        "tokens_per_step": round(tokens_per_step),
        "peak_gib": round(metrics[-1]["memory_bytes"] / 2**30, 2),
        "share_of_peak": round(flops / PEAK_FLOPS, 3),
        "first_step_seconds": round(metrics[0]["elapsed_seconds"], 1),
        "losses": [round(metric["loss"], 4) for metric in metrics],
    }


def _count_parameters(base: Path) -> int:
    """The number of parameters of the layers and the head; Gemma's head is its embedding."""
    from safetensors import safe_open

    with safe_open(base / "model.safetensors", framework="pt") as weights:
        return sum(torch.Size(weights.get_slice(name).get_shape()).numel() for name in weights.keys())  # noqa: SIM118 - no mapping


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--only", nargs="*", default=[""], help="run only variants whose name contains one of these")
    parser.add_argument("--seconds", type=float, default=3600, help="start no variant after this many seconds")
    options = parser.parse_args()
    began = time.monotonic()
    results: list[dict[str, Any]] = []
    for variant in VARIANTS:
        if not any(part in variant.name for part in options.only) or time.monotonic() - began > options.seconds:
            continue
        results.append(measure(variant, options.base, options.results.with_suffix(".log")))
        summary = {
            "command": "python -m benchmarks.training_speed",
            "device": torch.cuda.get_device_name(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cores": os.cpu_count(),
            "variants": results,
        }
        options.results.write_text(json.dumps(summary, indent=1) + "\n")
        print(
            json.dumps({key: value for key, value in results[-1].items() if key not in ("losses", "config")}),
            flush=True,
        )


if __name__ == "__main__":
    main()
