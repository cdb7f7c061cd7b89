"""Which release this process is of."""

from functools import cache
from importlib.metadata import version


@cache
def get_release() -> str:
    """As the package says; read once, since another one may be installed under a running process."""
    return version("emotune")
