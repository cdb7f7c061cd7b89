"""What a file is, told by how its plain content begins and never by its name."""

import re
from collections.abc import Collection
from typing import Literal

from emomodel.data.examples import BLANK_BYTES, BYTE_ORDER_MARK
from emomodel.data.formats.source import find_compression

Kind = Literal["jsonl", "json", "csv", "parquet"]

# The header of a table with 64 axes fits in.
SNIFFED_BYTES = 1 << 14
PARQUET_MARK = b"PAR1"
SEPARATORS = ",;\t"
_SEPARATOR = re.compile(f"[{SEPARATORS}]".encode())


def find_kind(beginning: bytes, columns: Collection[str]) -> Kind:
    """Of content that begins like this. What is nothing else counts as JSON Lines, whose reader says what is wrong.

    A text is CSV if its first line holds one of `columns`, lower case.
    """
    if beginning.startswith(PARQUET_MARK):
        return "parquet"
    text = beginning.removeprefix(BYTE_ORDER_MARK).lstrip(BLANK_BYTES)
    if text.startswith(b"["):
        return "json"
    if text.startswith(b"{"):
        return "jsonl"
    fields = _SEPARATOR.split(text.partition(b"\n")[0])
    names = {field.strip(b' "\r').lower() for field in fields}
    return "csv" if any(column.encode() in names for column in columns) else "jsonl"


def is_plain_json_lines(beginning: bytes, columns: Collection[str]) -> bool:
    """Whether a file that begins like this needs no reader of its own."""
    return find_compression(beginning) is None and find_kind(beginning, columns) == "jsonl"
