"""CliError: what a command's user can do something about. It is shown without a traceback."""

from pydantic import ValidationError

from jobs.settings import PREFIX, Settings


class CliError(Exception):
    """The command can't go on."""


def explain_validation(error: ValidationError) -> str:
    """One line per wrong value: of a setting, named by its variable, or of a field of TrainConfig."""
    prefix = PREFIX if error.title == Settings.__name__ else ""
    lines = []
    for each in error.errors(include_url=False):
        if each["type"] == "default_factory_not_called":
            # It follows from one of the others.
            continue
        name = ".".join(map(str, each["loc"]))
        message = "is not a known field" if each["type"] == "extra_forbidden" else each["msg"]
        lines.append(f"{prefix + name.upper() if prefix else name}: {message}" if name else message)
    return "\n".join(lines).replace("Value error, ", "")
