"""The release of emotune that this process runs."""

from functools import cache
from importlib.metadata import version


@cache
def get_release() -> str:
    """The version of the installed package, read once: another one may be installed while the process runs."""
    return version("emotune")
