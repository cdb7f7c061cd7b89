"""The real Gemma 3 270M on the sample chats, on one GPU: plain transformers, the accelerated ways, and some replies.

    python -m emomodel.conversion.sample_model FOLDER
    python -m benchmarks.real_weights FOLDER RESULTS.json

All runs take the same chats in the same order, so that their losses can be compared step by step with
benchmarks.compare_losses.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from emomodel.bundles.bundle import pack
from emomodel.config import TrainConfig
from emomodel.protocol.train_request import TrainRequest

SAMPLES = Path(__file__).resolve().parent.parent / "samples" / "chats.jsonl"
PLAIN: dict[str, Any] = {"acceleration": "off", "batching": "dynamic", "load_in_4bit": False, "backend": "transformers"}
RUNS: dict[str, dict[str, Any]] = {
    "exact: plain in float32": PLAIN | {"dtype": "float32"},
    "plain 16-bit": PLAIN,
    "accelerated 16-bit": {"load_in_4bit": False},
    "default": {},
}
PROMPTS = ("How was your day?", "I have lost my keys again.")
EMOTIONS = ("joy=1", "neutral", "sadness=1", "sadness=1 for 10 -> joy=1")


def run_emomodel(*argv: str) -> str:
    done = subprocess.run([sys.executable, "-m", "emomodel", *argv], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{argv[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def train(name: str, base: Path, folder: Path) -> tuple[dict[str, Any], Path]:
    """Train, and return what the process reported, and the bundle."""
    request = TrainRequest(
        dataset_path=SAMPLES,
        dataset_name=SAMPLES.name,
        dataset_sha256=hashlib.sha256(SAMPLES.read_bytes()).hexdigest(),
        base_model=base.name,
        base_model_path=str(base),
        config=TrainConfig.model_validate(RUNS[name] | {"group_by_length": False}),
        output_dir=folder / "output",
    )
    (folder / "request.json").write_text(request.model_dump_json())
    lines = [json.loads(line) for line in run_emomodel("train", str(folder / "request.json")).splitlines()]
    metrics = [line for line in lines if line["type"] == "metric"]
    result = {
        "config": RUNS[name],
        "notices": [line["message"] for line in lines if line["type"] == "notice"],
        "steps": metrics[-1]["step"],
        "tokens_per_second": round(metrics[-1]["tokens_per_second"]),
        "train_seconds": round(metrics[-1]["elapsed_seconds"], 1),
        "peak_gib": round(metrics[-1]["memory_bytes"] / 2**30, 2),
        "losses": [round(metric["loss"], 4) for metric in metrics],
    }
    return result, pack(request.output_dir, folder / "bundle.zip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path)
    parser.add_argument("results", type=Path)
    options = parser.parse_args()
    summary: dict[str, Any] = {
        "command": "python -m benchmarks.real_weights",
        "device": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "runs": {},
    }
    for name in RUNS:
        with tempfile.TemporaryDirectory(prefix="emotune-bench-") as scratch:
            summary["runs"][name], bundle = train(name, options.base, Path(scratch))
            print(name, {key: value for key, value in summary["runs"][name].items() if key != "losses"}, flush=True)
            if name == "default":
                given = [str(bundle), "--base", str(options.base)]
                summary["verify"] = run_emomodel("verify", *given).splitlines()
                argv = [word for prompt in PROMPTS for word in ("--prompt", prompt)]
                argv += [word for emotion in EMOTIONS for word in ("--emotion", emotion)]
                argv += ["--temperature", "0", "--max-new-tokens", "40", "--json"]
                summary["texts"] = [json.loads(line) for line in run_emomodel("generate", *given, *argv).splitlines()]
        options.results.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
