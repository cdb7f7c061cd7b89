"""Did you mean ...? The advice on a name that is not known."""

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown name: the nearest known one, if any is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else "leave it out."
