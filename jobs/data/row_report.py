"""The beginnings of the dataset lines that a row report refers to."""

from collections.abc import Iterable
from pathlib import Path

# Characters of a line that are shown: enough for people to recognize it.
MAX_TEXT_CHARACTERS = 500
_MAX_TEXT_BYTES = 4 * MAX_TEXT_CHARACTERS


def read_texts(path: Path, lines: Iterable[int]) -> dict[int, str]:
    """The beginnings of the given lines of a JSON Lines file, by line number; lines are counted from 1."""
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
