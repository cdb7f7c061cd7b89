"""Settings with absolute paths, for processes that work in another folder than the one where the command was typed."""

import re
from pathlib import Path
from urllib.parse import quote, unquote

from jobs.settings import Settings

# A file, not `:memory:`; of SQLite's own URIs (`file:...`) the path in them.
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///(?:file:)?+)([^/:?][^?]*)")

# Parameters of a URL that name files: those of redis-py, and of libpq
# (https://www.postgresql.org/docs/current/libpq-connect.html).
_FILE_PARAMETER = re.compile(
    r"(?<=[?&])(sslrootcert|sslcert|sslkey|sslcrl|sslcrldir|passfile|ssl_ca_certs|ssl_ca_path|ssl_certfile|ssl_keyfile)"
    r"=([^&#]+)"
)


def with_absolute_paths(settings: Settings) -> Settings:
    """The same settings for a process in any folder. The data folder's path is absolute in all settings."""
    files = ("database_password_file", "redis_password_file", "storage_secret_file")
    changes: dict[str, object] = {
        name: path.absolute() for name in files if (path := getattr(settings, name)) is not None
    }
    for name in ("database_url", "redis_url"):
        if (url := getattr(settings, name)) is not None:
            changes[name] = make_url_absolute(url)
    if settings.base_models:
        models = settings.base_models.items()
        changes["base_models"] = {name: make_folder_absolute(path) for name, path in models}
    return settings.model_copy(update=changes)


def make_url_absolute(url: str) -> str:
    """The URL of a database or of Redis, with the absolute paths of the files that it names."""
    url = _SQLITE_FILE.sub(lambda found: f"{found[1]}{Path(found[2]).absolute()}", url, count=1)
    return _FILE_PARAMETER.sub(lambda found: f"{found[1]}={_make_parameter_absolute(found[2])}", url)


def make_folder_absolute(path: str) -> str:
    """What a base model is loaded from: a folder as an absolute path, and a hub id as it is.

    A name such as `models/gemma` is a folder where there is one, and else a hub id.
    """
    return str(Path(path).absolute()) if path.startswith(".") or Path(path).is_dir() else path


def _make_parameter_absolute(value: str) -> str:
    """A word that is no file, such as `system`, stays."""
    path = Path(unquote(value))
    return quote(str(path.absolute())) if path.exists() else value
