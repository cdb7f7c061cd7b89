"""The commands that talk to the API."""

import sys
from collections.abc import Sequence
from pathlib import Path

from cli.client import ApiError, Client
from cli.credentials import get_credentials
from cli.overrides import parse_overrides
from cli.watch import watch_job
from jobs.settings import load_settings


def open_client() -> Client:
    """Raises CredentialsMissing."""
    return Client(get_credentials(load_settings().data_dir))


def submit_job(
    dataset: str, *, base_model: str, name: str, priority: int, overrides: Sequence[str], watch_it: bool
) -> None:
    """Only the job's id goes to standard output, so that a script can take it from there."""
    config = parse_overrides(overrides)
    with open_client() as client:
        dataset_id = _upload(client, Path(dataset)) if Path(dataset).is_file() else dataset
        request = {"dataset_id": dataset_id, "base_model": base_model, "priority": priority, "config": config}
        job = client.create_job(request | ({"name": name} if name else {}))
        print(job["id"])
        if watch_it:
            watch_job(client, job["id"])


def _upload(client: Client, path: Path) -> str:
    try:
        row = client.upload_dataset(path, path.name)
    except ApiError as error:
        report = error.body.get("report") or {}
        for problem in report.get("problems", []):
            print(f"{path}:{problem['line']}: {problem['message']} {problem['fix']}", file=sys.stderr)
        raise
    print(f"uploaded {row['name']}: {row['example_count']} examples as {row['id']}", file=sys.stderr)
    return str(row["id"])
