"""Starting Python processes of ours, so that no file in the folder where somebody works takes the place of our code.

`python -m` puts the working folder first on sys.path. A user's `cli.py`, `torch.py` or `json.py` there would be run as
ours. `-P` keeps that folder off the path, and the variable does the same in the processes that a child starts itself.
"""

import sys

SAFE_PATH = {"PYTHONSAFEPATH": "1"}


def make_python_argv(*arguments: str) -> list[str]:
    """The command line of this process's Python with these arguments, such as `-m`, `emomodel`."""
    return [sys.executable, "-P", *arguments]
