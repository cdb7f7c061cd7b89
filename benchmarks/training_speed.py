"""Training speed on one GPU in the real training process: plain transformers, Unsloth and emotune's acceleration.

    python -m scripts.make_gemma_shape FOLDER --shape 1b --vocabulary 262144
    python -m benchmarks.training_speed FOLDER RESULTS.json [--only NAME ...] [--seconds 500]

Short chats have the lengths of samples/chats.jsonl with Gemma's tokenizer (benchmarks/sample_lengths.json: tokens and
targets of each); full rows have 1,024 tokens. All variants with one batch size take the same chats in the same order,
so that their losses can be compared (benchmarks.compare_losses). Speeds count tokens without padding, at the median of
the last half of the steps; the first step, which compiles, is reported separately. RESULTS.json is written after each
variant.
"""

import argparse
import hashlib
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from emomodel.config import TrainConfig
from emomodel.protocol.train_request import TrainRequest
from tests.support.tiny_gemma import make_tiny_tokenizer

LENGTHS_FILE = Path(__file__).with_name("sample_lengths.json")
PEAK_FLOPS = 790e12
# Floating-point operations for a token and parameter of a frozen base: forward, and backward for the activations only.
FLOPS_PER_PARAMETER_AND_TOKEN = 4
FULL_ROW = 1024
# The tokens of the chat template around a prompt and a reply, and at the end of the reply.
TEMPLATE_TOKENS = 10
REPLY_END_TOKENS = 1
# Enough for batches of 800. There are fewer of the long ones, which take time to read.
CHAT_COUNTS = {"short": 4000, "full": 400}
POLES = ("joy", "sadness", "anger", "calmness", "fear", "trust")


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
UNSLOTH = {"backend": "unsloth", "batching": "packed"}
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


def make_chats(kind: str, count: int) -> bytes:
    """Make `count` chats of one-token words, and so of exact lengths, as JSON Lines."""
    generator = random.Random(7)  # noqa: S311 - the same chats each time
    words = sorted(_find_words())
    lengths = json.loads(LENGTHS_FILE.read_text()) if kind == "short" else [[FULL_ROW, FULL_ROW // 2]]
    lines = []
    for index in range(count):
        total, targets = lengths[index % len(lengths)]
        reply = max(targets - REPLY_END_TOKENS, 1)
        prompt = max(total - reply - REPLY_END_TOKENS - TEMPLATE_TOKENS, 1)
        turns = [" ".join(generator.choices(words, k=size)) for size in (prompt, reply)]
        emotion = {generator.choice(POLES): round(generator.random(), 2)}
        messages = [
            {"role": "user", "content": turns[0]},
            {"role": "assistant", "content": turns[1], "emotion": emotion},
        ]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()


def _find_words() -> list[str]:
    """Find words that are one token each, both at the start of a text and inside."""
    tokenizer = make_tiny_tokenizer()
    return [
        token[1:]
        for token in tokenizer.get_vocab()
        if token.startswith("▁") and token[1:].isalpha() and token[1:] in tokenizer.get_vocab()
    ]


def measure(variant: Variant, base: Path, log: Path) -> dict[str, Any]:
    """Train, and summarise what the process reports."""
    batch_size = int(variant.config["batch_size"])
    with tempfile.TemporaryDirectory(prefix="emotune-bench-") as scratch:
        folder = Path(scratch)
        data = make_chats(variant.data, CHAT_COUNTS[variant.data])
        (folder / "data.jsonl").write_bytes(data)
        changes = {
            "max_steps": variant.steps,
            "epochs": 1000.0,
            "group_by_length": False,
            "schedule": "constant",
            "warmup_ratio": 0.0,
            "seed": 1,
        }
        request = TrainRequest(
            dataset_path=folder / "data.jsonl",
            dataset_name=variant.data,
            dataset_sha256=hashlib.sha256(data).hexdigest(),
            base_model=base.name,
            base_model_path=str(base),
            config=TrainConfig.model_validate(variant.config | changes),
            output_dir=folder / "output",
        )
        (folder / "request.json").write_text(request.model_dump_json())
        argv = [sys.executable, "-m", "emomodel", "train", str(folder / "request.json")]
        started = time.monotonic()
        with log.open("ab") as stream:
            done = subprocess.run(argv, check=False, stdout=subprocess.PIPE, stderr=stream, text=True)
        seconds = time.monotonic() - started
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    result: dict[str, Any] = {"name": variant.name, "data": variant.data, "config": variant.config}
    result["process_seconds"] = round(seconds, 1)
    result["notices"] = [line["message"] for line in lines if line["type"] == "notice"]
    if done.returncode != 0:
        return result | {"error": lines[-1] if lines else done.returncode}
    return result | summarise([line for line in lines if line["type"] == "metric"], batch_size, base)


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
