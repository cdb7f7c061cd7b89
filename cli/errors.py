"""CliError: an error that the user of a command can fix. It is shown without a traceback."""

from pydantic import ValidationError

from jobs.settings import PREFIX, Settings


class CliError(Exception):
    """The command can't continue."""


def explain_validation(error: ValidationError) -> str:
    """Return one line per wrong value, with the setting's variable or the field of TrainConfig."""
    prefix = PREFIX if error.title == Settings.__name__ else ""
    lines = []
    for each in error.errors(include_url=False):
        if each["type"] == "default_factory_not_called":
            # This error only follows from another one.
            continue
        name = ".".join(map(str, each["loc"]))
        message = "is not a known field" if each["type"] == "extra_forbidden" else each["msg"]
        lines.append(f"{prefix + name.upper() if prefix else name}: {message}" if name else message)
    return "\n".join(lines).replace("Value error, ", "")
