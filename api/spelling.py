"""Advice on an unknown name: did you mean ...?"""

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about an unknown name: a similar known name, or the advice to leave it out."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else "leave it out."
