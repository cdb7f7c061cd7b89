"""`emotune settings`: the settings as every process reads them from the environment, without passwords."""

import json
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from jobs.settings import PREFIX, Settings


def describe_settings(settings: Settings) -> list[str]:
    """Return a line for each setting, as a variable."""
    values = settings.model_dump(mode="json")
    return [f"{PREFIX}{name.upper()}={_show(value)}" for name, value in values.items()]


def _show(value: Any) -> str:
    if value is None:
        return ""
    return _hide_password(value) if isinstance(value, str) else json.dumps(value)


def _hide_password(text: str) -> str:
    parts = urlsplit(text)
    if parts.password is None:
        return text
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}"))
