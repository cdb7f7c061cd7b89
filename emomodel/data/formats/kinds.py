"""Recognises the kind of a file by the beginning of its plain content, never by its name."""

import re
from collections.abc import Collection
from typing import Literal

from emomodel.data.examples import BLANK_BYTES, BYTE_ORDER_MARK
from emomodel.data.formats.source import find_compression

Kind = Literal["jsonl", "json", "csv", "parquet"]

# Enough for the header of a table with 64 axes.
SNIFFED_BYTES = 1 << 14
PARQUET_MARK = b"PAR1"
SEPARATORS = ",;\t"
_SEPARATOR = re.compile(f"[{SEPARATORS}]".encode())


def find_kind(beginning: bytes, columns: Collection[str]) -> Kind:
    """The kind of a file's plain content. All that is not recognised counts as JSON Lines, whose reader reports it.

    A text is CSV if its first line has one of `columns`, which are in lower case.
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
    """Whether a file is uncompressed JSON Lines, which need no conversion."""
    return find_compression(beginning) is None and find_kind(beginning, columns) == "jsonl"
