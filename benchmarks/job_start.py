"""How soon a job starts: the seconds from its post to its claim, its first metric and its end.

    python -m benchmarks.job_start BASE_MODEL_FOLDER [--jobs 3] [--together] [--without-spare] [--device cuda]

Starts a stack of its own in a temporary folder and posts the jobs one after the other; with `--together` all at once,
so that each follows the one before without a pause. The first job is posted as soon as the stack is ready. After
`make demo` a base model is in data/models/gemma-3-270m; `python -m scripts.make_gemma_shape` makes one without weights.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.client import Client
from cli.credentials import Credentials
from cli.demo import SAMPLE_DATASET
from cli.stack import Stack
from jobs.settings import Settings

CHATS = Path(__file__).resolve().parent.parent / SAMPLE_DATASET
POLL_SECONDS = 0.02
# The batch and the length of `emotune demo`, and enough steps to see that they go on.
DEFAULT_CONFIG = {"max_steps": 5, "max_length": 128}


@dataclass
class Times:
    """The moments of one job, in seconds after its post; None for what has not happened."""

    job_id: str
    posted_at: float
    claimed: float | None = None
    first_metric: float | None = None
    ended: float | None = None
    status: str = ""


def post(client: Client, dataset_id: str, base_model: str, config: dict[str, Any]) -> Times:
    posted_at = time.monotonic()
    job = client.create_job({"dataset_id": dataset_id, "base_model": base_model, "config": config, "name": "start"})
    return Times(job["id"], posted_at)


def follow(client: Client, jobs: Sequence[Times]) -> None:
    """Note the moments of each job, until all have ended."""
    while waiting := [job for job in jobs if job.ended is None]:
        for job in waiting:
            _look(client, job)
        time.sleep(POLL_SECONDS)


def _look(client: Client, job: Times) -> None:
    if job.claimed is not None and job.first_metric is None and client.read_metrics(job.job_id, None)["items"]:
        job.first_metric = time.monotonic() - job.posted_at
    row = client.get_job(job.job_id)
    now = time.monotonic() - job.posted_at
    if job.claimed is None and row["started_at"] is not None:
        job.claimed = now
    if row["finished_at"] is not None:
        job.ended, job.status = now, row["status"]


def describe(number: int, job: Times) -> str:
    moments = {"claimed": job.claimed, "first metric": job.first_metric, "ended": job.ended}
    words = ", ".join(f"{name} {'never' if at is None else f'{at:.2f} s'}" for name, at in moments.items())
    return f"job {number}: {words} after its post; {job.status}"


def run(client: Client, dataset_id: str, options: argparse.Namespace) -> list[Times]:
    """Post the jobs and follow them, as the options say."""
    config = DEFAULT_CONFIG | options.config
    if options.together:
        jobs = [post(client, dataset_id, options.base.name, config) for _ in range(options.jobs)]
        follow(client, jobs)
        return jobs
    jobs = []
    for number in range(options.jobs):
        time.sleep(options.pause if number else 0)
        jobs.append(post(client, dataset_id, options.base.name, config))
        follow(client, jobs[-1:])
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--pause", type=float, default=15, help="seconds between the end of a job and the next post")
    parser.add_argument("--together", action="store_true", help="post all jobs at once")
    parser.add_argument("--without-spare", action="store_true", help="each job starts a process of its own")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--config", type=json.loads, default={}, help="JSON: what differs from the defaults")
    options = parser.parse_args()
    options.base = options.base.expanduser().absolute()
    with tempfile.TemporaryDirectory(prefix="emotune-bench-") as folder:
        settings = Settings(
            data_dir=Path(folder) / "data",
            base_models={options.base.name: str(options.base)},
            slot_device=options.device,
            port=0,
            min_free_disk_bytes=0,
            spare_trainer=not options.without_spare,
        )
        with Stack(settings) as stack, Client(Credentials(url=stack.url, api_key=stack.api_key)) as client:
            dataset_id = client.upload_dataset(CHATS, CHATS.name)["id"]
            jobs = run(client, dataset_id, options)
    for number, job in enumerate(jobs, start=1):
        print(describe(number, job), flush=True)
    later = [job.first_metric for job in jobs[1:] if job.first_metric is not None]
    if later:
        print(f"median of the later jobs: first metric {statistics.median(later):.2f} s after the post")


if __name__ == "__main__":
    main()
