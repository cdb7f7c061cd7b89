"""One table on one GPU: the original project's recipe by its own script, and emotune's training, on the same chats.

    python -m scripts.make_gemma_shape BASE --shape 1b --vocabulary 262144
    python -m benchmarks.training_proof BASE RESULTS.json [--rows seed,ours] [--runs cold,warm] [--seconds 560]
    python -m benchmarks.training_proof BASE RESULTS.json --render docs/performance.md

Each row of benchmarks/training_rows.py is trained in a process of its own, one after the other: all rows once with
empty compile caches, then all rows again with these caches, so that what else the host does meets each of them. A
row's caches are kept in the scratch folder. RESULTS.json is written after each process and keeps the rows of earlier
calls. All rows take the same chats in the same order and start from the same weights; the original project's script
gets emotune's rules for which position carries which emotion, and its rates (benchmarks/seed_reference.py says more).

Without CUDA every row runs in float32 on plain transformers: that checks this tool, and that the losses agree.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.proof_table import render, replace_table
from benchmarks.seed_reference import GIB, find_update_seconds
from benchmarks.training_process import (
    BATCH_SIZE,
    CHATS_FILE,
    MACHINE_FILE,
    MAX_LENGTH,
    ORDER_FILE,
    WEIGHTS_FILE,
    run_training,
)
from benchmarks.training_rows import NAMES, RUNS, Row, Seed, get_row
from emomodel.process import keep_to_one_gpu
from worker.trainers.environment import CACHE_VARIABLES

OURS_ON_A_CPU = {"backend": "transformers", "load_in_4bit": False, "dtype": "float32"}


@dataclass(frozen=True)
class Bench:
    """What all rows share: the base model's folder, a scratch folder, the updates of each training, and the machine."""

    base: Path
    scratch: Path
    updates: int
    machine: dict[str, Any]

    @property
    def has_cuda(self) -> bool:
        return bool(self.machine["device"] != "cpu")

    @property
    def log(self) -> Path:
        """What the processes write to standard error."""
        return self.scratch / "log.txt"


def prepare(base: Path, scratch: Path, updates: int) -> Bench:
    """Write what all trainings start from, unless an earlier call has."""
    scratch = scratch / f"{updates}-updates"
    if not (scratch / MACHINE_FILE).exists():
        argv = [sys.executable, "-m", "benchmarks.training_start", str(base), str(scratch), str(updates)]
        subprocess.run(argv, check=True)
    return Bench(base, scratch, updates, json.loads((scratch / MACHINE_FILE).read_text()))


def measure(row: Row, run: str, bench: Bench) -> dict[str, Any]:
    """Train once. A `cold` run begins with empty compile caches."""
    caches = bench.scratch / "caches" / row.name
    if run == "cold":
        shutil.rmtree(caches, ignore_errors=True)
    environment = os.environ | {name: str(caches / part) for name, part in CACHE_VARIABLES.items()}
    keep_to_one_gpu(environment)
    with tempfile.TemporaryDirectory(prefix="emotune-proof-") as folder:
        if row.seed is None:
            return measure_ours(row.config, bench, Path(folder), environment)
        return measure_seed(row.seed, bench, Path(folder), environment)


def measure_seed(seed: Seed, bench: Bench, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    if not bench.has_cuda:
        seed = replace(seed, backend="transformers", bits=32)
    files = [bench.base, bench.scratch / CHATS_FILE, bench.scratch / ORDER_FILE, folder / "result.json"]
    argv = [sys.executable, "-m", "benchmarks.seed_reference", *map(str, files), *seed.list_arguments()]
    argv += ["--recipe", "emotune"]
    argv += ["--initial", str(bench.scratch / WEIGHTS_FILE), "--output", str(folder / "output")]
    started = time.monotonic()
    with bench.log.open("ab") as log:
        done = subprocess.run(argv, check=False, stdout=log, stderr=log, env=environment)
    seconds = round(time.monotonic() - started, 1)
    if done.returncode != 0:
        return {"process_seconds": seconds, "error": f"exit code {done.returncode}; {bench.log} says why"}
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result | {"process_seconds": seconds}


def measure_ours(changes: dict[str, Any], bench: Bench, folder: Path, environment: dict[str, str]) -> dict[str, Any]:
    config = {"batch_size": BATCH_SIZE, "max_length": MAX_LENGTH, "max_steps": bench.updates} | changes
    if not bench.has_cuda:
        config |= OURS_ON_A_CPU
    run = run_training(config, bench.scratch / CHATS_FILE, bench.base, folder, log=bench.log, environment=environment)
    result = {
        "process_seconds": round(run.seconds, 1),
        "notices": [line["message"] for line in run.select("notice")],
    }
    if run.error is not None:
        return result | {"error": run.error}
    metrics = run.select("metric")
    update_seconds = find_update_seconds([metric["elapsed_seconds"] for metric in metrics])
    tokens_per_update = metrics[-1]["token_count"] / len(metrics)
    return result | {
        "step_ms": round(update_seconds * 1000, 1),
        "tokens_per_update": round(tokens_per_update, 1),
        "tokens_per_second": round(tokens_per_update / update_seconds),
        "peak_gib": round(metrics[-1]["memory_bytes"] / GIB, 2) if bench.has_cuda else None,
        "first_step_seconds": round(metrics[0]["elapsed_seconds"], 1),
        "losses": [metric["loss"] for metric in metrics],
    }


def run_all(names: list[str], runs: list[str], bench: Bench, results: Path, *, stop_at: float) -> bool:
    """Measure the rows, write each into the file of results as soon as it is there, and return whether all worked."""
    succeeded = True
    for run in runs:
        for name in names:
            if time.monotonic() > stop_at:
                print(f"no time left for {name}, {run}", flush=True)
                succeeded = False
                continue
            measured = measure(get_row(name), run, bench)
            succeeded = succeeded and "error" not in measured
            # Read again: another call may have written in the meantime.
            document = read_results(results, bench)
            document["rows"].setdefault(name, {})[run] = measured
            results.write_text(json.dumps(document, indent=1) + "\n")
            shown = {key: value for key, value in measured.items() if key != "losses"}
            print(json.dumps({"row": name, "run": run} | shown), flush=True)
    return succeeded


def read_results(path: Path, bench: Bench) -> dict[str, Any]:
    """The results so far. Exits when they are of another machine or another number of updates."""
    made_by = {"command": "python -m benchmarks.training_proof", "updates": bench.updates} | bench.machine
    if not path.exists():
        return made_by | {"rows": {}}
    document: dict[str, Any] = json.loads(path.read_text())
    different = [key for key, value in made_by.items() if document[key] != value]
    if different:
        sys.exit(f"{path} was made with another {' and '.join(different)}; give another file")
    return document


def main() -> None:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(NAMES), help=", ".join(NAMES))
    parser.add_argument("--runs", type=lambda text: text.split(","), default=list(RUNS), help=", ".join(RUNS))
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "training-proof")
    parser.add_argument("--seconds", type=float, default=3600, help="start no process after this many seconds")
    parser.add_argument("--render", type=Path, metavar="PAGE", help="measure nothing; put the table into this page")
    options = parser.parse_args()
    if unknown := [*(set(options.rows) - set(NAMES)), *(set(options.runs) - set(RUNS))]:
        parser.error(f"there is no {', '.join(unknown)}")
    if options.render is not None:
        replace_table(options.render, options.results)
        return
    bench = prepare(options.base, options.scratch, options.updates)
    succeeded = run_all(options.rows, options.runs, bench, options.results, stop_at=began + options.seconds)
    print(render(json.loads(options.results.read_text())))
    print(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(0 if succeeded else 1)


if __name__ == "__main__":
    main()
