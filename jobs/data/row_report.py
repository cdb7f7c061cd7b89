"""The lines of a dataset that a row report speaks of."""

from collections.abc import Iterable
from pathlib import Path

# Of a line, for people: enough to know it again.
MAX_TEXT_CHARACTERS = 500
_MAX_TEXT_BYTES = 4 * MAX_TEXT_CHARACTERS


def read_texts(path: Path, lines: Iterable[int]) -> dict[int, str]:
    """The beginnings of the given lines (from 1) of a JSON Lines file."""
    wanted = set(lines)
    last = max(wanted, default=0)
    texts: dict[int, str] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number in wanted:
                text = line[:_MAX_TEXT_BYTES].decode("utf-8", "ignore").rstrip("\n")
                texts[number] = text[:MAX_TEXT_CHARACTERS]
            if number >= last:
                break
    return texts
