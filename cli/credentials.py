"""The API's address and key: from the environment, or else from the file that `emotune up` writes."""

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cli.errors import CliError

URL_VARIABLE = "EMOTUNE_URL"
KEY_VARIABLE = "EMOTUNE_API_KEY"
FILENAME = "credentials.json"


class CredentialsMissing(CliError):
    """No API is known. Start one with `emotune up`, or set EMOTUNE_URL and EMOTUNE_API_KEY."""


class Credentials(BaseModel):
    """The address of an API and a key for it."""

    url: str
    api_key: str


def find_local_credentials(data_dir: Path) -> Credentials | None:
    """Return the credentials that the local stack wrote, or None."""
    try:
        return Credentials.model_validate_json((data_dir / FILENAME).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def get_credentials(data_dir: Path) -> Credentials:
    """Return the credentials to use. Raises CredentialsMissing."""
    local = find_local_credentials(data_dir)
    url = (os.environ.get(URL_VARIABLE) or (local.url if local else "")).rstrip("/")
    # The local stack's key is not sent to any other API.
    is_local = local is not None and url == local.url
    api_key = os.environ.get(KEY_VARIABLE) or (local.api_key if local and is_local else "")
    if not url or not api_key:
        raise CredentialsMissing(CredentialsMissing.__doc__)
    return Credentials(url=url, api_key=api_key)


def write_local_credentials(data_dir: Path, credentials: Credentials) -> None:
    """Write the credentials to a file that only its owner can read from the start."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / FILENAME
    partial = path.with_suffix(".part")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(credentials.model_dump_json(indent=2))
    partial.replace(path)
