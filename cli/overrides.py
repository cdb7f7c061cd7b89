"""TrainConfig overrides on a command line: `--set epochs=2 --set lora_modules='["q_proj"]'`."""

import json
from collections.abc import Iterable
from typing import Any

from cli.errors import CliError


class OverrideError(CliError):
    """The text is not of the form name=value."""


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values by name: JSON where they parse as JSON, or else plain text. The API checks names and ranges.

    Raises OverrideError.
    """
    overrides: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise OverrideError(f"{text!r} is not of the form name=value, as in epochs=2")
        try:
            overrides[name] = json.loads(value)
        except ValueError:
            overrides[name] = value
    return overrides
