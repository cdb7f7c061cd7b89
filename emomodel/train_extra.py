"""What an installation without the extra `train` lacks, found without importing any of it.

The API, the worker and the command line do without these packages; the processes that train and generate don't.
"""

import importlib
from collections.abc import Iterable
from importlib.util import find_spec

# As pyproject.toml lists them.
TRAINING_PACKAGES = ("accelerate", "matplotlib", "peft", "safetensors", "torch", "transformers")
# A model is loaded and writes without the one that draws the loss curve.
GENERATION_PACKAGES = tuple(name for name in TRAINING_PACKAGES if name != "matplotlib")

INSTALL_LINE = "pip install 'emotune[train]'"


def describe_missing(packages: Iterable[str] = TRAINING_PACKAGES) -> str | None:
    """Which of the packages are not installed and what installs them, in one line without a full stop, or None."""
    missing = find_missing(packages)
    if not missing:
        return None
    *others, last = missing
    names = f"{', '.join(others)} and {last} are" if others else f"{last} is"
    return f"{names} not installed: {INSTALL_LINE}"


def find_missing(packages: Iterable[str] = TRAINING_PACKAGES) -> list[str]:
    """Those of the packages that this Python can't import now. What was installed since its start is found, too."""
    importlib.invalidate_caches()
    return [name for name in packages if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    spec = find_spec(name)
    # A folder that an uninstallation has left is a package without an origin.
    return spec is not None and spec.origin is not None
