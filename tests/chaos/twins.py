"""Twins: each course of training, run once by the same program, without faults or other requests."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from emomodel.config import TrainConfig
from emomodel.protocol.train_request import TrainRequest
from tests.chaos.load import COURSES, REAL_MODEL, make_config
from tests.chaos.trainer import FAST_MODEL, JOURNAL_VARIABLE, TEMPLATE_VARIABLE
from tests.chaos.worker import TRAINER_ARGV
from worker.trainers.environment import make_trainer_environment

TWIN_SECONDS = 120.0

Curve = dict[int, float]


def run_twins(folder: Path, *, dataset: Path, tiny_gemma: Path) -> dict[str, Curve]:
    """Run each course; returns its loss by step. The output of the real training is the template of all bundles."""
    folder.mkdir(parents=True)

    def run(course: str) -> Curve:
        return _run_twin(course, folder, dataset=dataset, tiny_gemma=tiny_gemma)

    # The real training comes first, since the others copy its files.
    curves = {REAL_MODEL: run(REAL_MODEL)}
    others = [course for course in COURSES if course != REAL_MODEL]
    # These wait more than they compute, so they run at the same time.
    with ThreadPoolExecutor(len(others)) as pool:
        curves.update(zip(others, pool.map(run, others), strict=True))
    return curves


def _run_twin(course: str, folder: Path, *, dataset: Path, tiny_gemma: Path) -> Curve:
    template = get_template(folder)
    output = template if course == REAL_MODEL else folder / course / "output"
    output.parent.mkdir(exist_ok=True)
    request = TrainRequest(
        dataset_path=dataset,
        dataset_name="chats",
        dataset_sha256=hashlib.sha256(dataset.read_bytes()).hexdigest(),
        base_model=REAL_MODEL if course == REAL_MODEL else FAST_MODEL,
        base_model_path=str(tiny_gemma),
        config=TrainConfig.model_validate(make_config(course)),
        output_dir=output,
        checkpoint_dir=folder / course / "checkpoints",
    )
    request_path = output.parent / "request.json"
    request_path.write_text(request.model_dump_json())
    _run(request_path, folder, template)
    return read_curve((output / "metrics.jsonl").read_text().splitlines())


def get_template(folder: Path) -> Path:
    """Return the output folder of the real training."""
    return folder / REAL_MODEL / "output"


def read_curve(lines: list[str]) -> Curve:
    """Read the loss of each step from lines of metrics."""
    metrics = [json.loads(line) for line in lines]
    return {metric["step"]: metric["loss"] for metric in metrics}


def _run(request_path: Path, folder: Path, template: Path) -> None:
    own = make_trainer_environment(os.environ, threads=1, device="cpu", gpu_uuid=None, cache_folder=folder)
    environment = own | {TEMPLATE_VARIABLE: str(template), JOURNAL_VARIABLE: str(folder / "journal.jsonl")}
    # Its standard input stays open, since the process would take its end for the end of its supervisor.
    process = subprocess.Popen(
        [*TRAINER_ARGV, str(request_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    errors = process.stderr.read()
    exit_code = process.wait(TWIN_SECONDS)
    process.stdin.close()
    process.stderr.close()
    if exit_code != 0:
        sys.stderr.write(errors.decode(errors="replace"))
        raise RuntimeError(f"the twin of {request_path} ended with exit code {exit_code}")
