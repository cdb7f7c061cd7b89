"""The commands that talk to the API."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cli.client import ApiError, Client
from cli.credentials import get_credentials
from cli.errors import CliError
from cli.overrides import parse_overrides
from cli.watch import watch_job
from emomodel.config import Preset, make_config
from jobs.settings import load_settings

DATASET_ID = re.compile(r"ds_[0-9a-z]{26}")


class SubmissionRefused(CliError):
    """The job can't be posted like this."""


def open_client() -> Client:
    """Raises CredentialsMissing."""
    return Client(get_credentials(load_settings().data_dir))


def submit_job(
    dataset: str,
    *,
    base_model: str,
    name: str,
    priority: int,
    preset: Preset,
    overrides: Sequence[str],
    watch_it: bool,
) -> None:
    """Only the job's id goes to standard output, so that a script can take it from there.

    What can be known to be wrong is refused before the upload. Raises SubmissionRefused, CliError,
    pydantic.ValidationError.
    """
    changes = parse_overrides(overrides)
    make_config(preset, changes)
    with open_client() as client:
        _check_model(client, base_model)
        dataset_id = dataset if DATASET_ID.fullmatch(dataset) else _upload(client, Path(dataset))
        request = {"dataset_id": dataset_id, "base_model": base_model, "priority": priority}
        request |= {"preset": preset, "config": changes} | ({"name": name} if name else {})
        job = client.create_job(request)
        print(job["id"])
        if watch_it:
            watch_job(client, job["id"])


def _check_model(client: Client, name: str) -> None:
    names = [model["name"] for model in client.list_models()]
    if name not in names:
        known = ", ".join(names) or "none yet"
        raise SubmissionRefused(f"{name!r} is not on the operator's list of base models ({known})")


def _upload(client: Client, path: Path) -> str:
    if not path.is_file():
        raise SubmissionRefused(f"there is no file {path}, and it is no dataset's id (ds_...) either")
    try:
        row = client.upload_dataset(path, path.name)
    except ApiError as error:
        report = error.body.get("report") or {}
        for problem in report.get("problems", []):
            print(f"{path}:{problem['line']}: {problem['message']}. {problem['fix']}", file=sys.stderr)
        raise
    print(f"uploaded {row['name']}: {row['example_count']} examples as {row['id']}", file=sys.stderr)
    return str(row["id"])
