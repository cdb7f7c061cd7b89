"""CliError: what a command's user can do something about. It is shown without a traceback."""


class CliError(Exception):
    """The command can't go on."""
