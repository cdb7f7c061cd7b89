"""The commands that use the API."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.client import ApiError, Client
from cli.credentials import get_credentials
from cli.errors import CliError
from cli.overrides import parse_overrides
from cli.watch import watch_job
from emomodel.config import Preset, make_config
from jobs.priorities import PriorityClass
from jobs.settings import GIB, load_settings

DATASET_ID = re.compile(r"ds_[0-9a-z]{26}")


class SubmissionRefused(CliError):
    """The job can't be posted as requested."""


def open_client() -> Client:
    """Return a client of the API that the environment or the data folder names. Raises CredentialsMissing."""
    return Client(get_credentials(load_settings().data_dir))


@dataclass(frozen=True)
class Submission:
    """A job as given on the command line. Datasets are files to upload, or ids; overrides are `name=value`."""

    dataset: str
    base_model: str
    name: str = ""
    priority: int = 0
    priority_class: PriorityClass = PriorityClass.NORMAL
    timeout_seconds: float | None = None
    preset: Preset = "default"
    overrides: Sequence[str] = ()
    validation: str = ""


def submit_job(submission: Submission, *, watch_it: bool) -> None:
    """Post a job. Only its id goes to standard output, so that a script can read it.

    Raises SubmissionRefused, CliError, pydantic.ValidationError.
    """
    with open_client() as client:
        job = client.create_job(_make_request(client, submission))
        print(job["id"])
        if watch_it:
            watch_job(client, job["id"])


def estimate_job(submission: Submission) -> None:
    """Print what the job would take. Raises as submit_job does."""
    with open_client() as client:
        found = client.estimate_job(_make_request(client, submission))
    print(describe_estimate(found))


def _make_request(client: Client, submission: Submission) -> dict[str, Any]:
    """Make the request; mistakes that can be found here are refused before anything is uploaded."""
    changes = parse_overrides(submission.overrides)
    make_config(submission.preset, changes)
    _check_model(client, submission.base_model)
    request: dict[str, Any] = {
        "dataset_id": _get_dataset_id(client, submission.dataset),
        "base_model": submission.base_model,
        "priority": submission.priority,
        "preset": submission.preset,
        "config": changes,
    }
    # An API of an earlier release doesn't know these fields.
    if submission.priority_class is not PriorityClass.NORMAL:
        request["priority_class"] = submission.priority_class
    if submission.timeout_seconds is not None:
        request["timeout_seconds"] = submission.timeout_seconds
    if submission.name:
        request["name"] = submission.name
    if submission.validation:
        request["validation_dataset_id"] = _get_dataset_id(client, submission.validation)
    return request


def ask_of_job(job_id: str, verb: str) -> None:
    """Call one of the verbs that stop or resume a job, and print the job's status."""
    with open_client() as client:
        job = client.ask_of_job(job_id, verb)
    print(f"{job_id}: {describe_status(job)}")


def describe_status(job: Mapping[str, Any]) -> str:
    """Describe a job's status, and what it has been asked to do."""
    asked = f", asked to stop ({job['stop_kind']})" if job["stop_requested"] else ""
    return str(job["status"]) + asked + (", asked to save a checkpoint" if job["checkpoint_requested"] else "")


def describe_estimate(found: Mapping[str, Any]) -> str:
    """Describe an estimate in a few lines."""
    sources = {
        "like_jobs": "from similar jobs that ran here",
        "same_base_model": "from other jobs with this base model",
        "arithmetic": "a guess: no similar job has run here",
    }
    peak = found["peak_memory_bytes"]
    lines = [
        f"{found['step_count']:,} steps, {found['token_count']:,} tokens of {found['example_count']:,} examples",
        f"{timedelta(seconds=round(found['total_seconds']))} on {found['device']} ({sources[found['speed_source']]})",
        f"{peak / GIB:.1f} GiB of memory" if peak else "memory: the base model's sizes are not known",
        (f"position {found['queue_position']} in the queue, " if found["queue_position"] else "no place in the queue, ")
        + (f"starts about {found['starts_at'][:16]} UTC" if found["starts_at"] else "no slot can run it"),
    ]
    return "\n".join([*lines, *([found["advice"]] if found["advice"] else [])])


def _get_dataset_id(client: Client, dataset: str) -> str:
    return dataset if DATASET_ID.fullmatch(dataset) else _upload(client, Path(dataset))


def _check_model(client: Client, name: str) -> None:
    names = [model["name"] for model in client.list_models()]
    if name not in names:
        known = ", ".join(names) or "none yet"
        raise SubmissionRefused(f"{name!r} is not on the operator's list of base models ({known})")


def _upload(client: Client, path: Path) -> str:
    if not path.is_file():
        raise SubmissionRefused(f"{path} is neither a file nor the id of a dataset (ds_...)")
    try:
        row = client.upload_dataset(path, path.name)
    except ApiError as error:
        report = error.body.get("report") or {}
        for problem in report.get("problems", []):
            print(f"{path}:{problem['line']}: {problem['message']}. {problem['fix']}", file=sys.stderr)
        raise
    print(f"uploaded {row['name']}: {row['example_count']} examples as {row['id']}", file=sys.stderr)
    return str(row["id"])
