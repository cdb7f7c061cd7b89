"""Finds the maximum size of a row of a Parquet column: the number of its values, and the longest text of a dictionary.

The repetition levels of a nested column say how many values a row has: a value of level 0 begins a row. Levels are
stored as runs of one value or as packed bits, so a few bytes may mean a billion values ("RLE / bit-packing hybrid" in
https://github.com/apache/parquet-format/blob/master/Encodings.md).
"""

import io
from typing import BinaryIO

from emomodel.data.formats.parquet_pages import Page, read_content, read_varint

_RLE = 3
_LENGTH_BYTES = 4
# How many bytes of packed levels are unpacked at a time, for each bit of a level's width.
_PIECE_BYTES = 1 << 12


class RowTracker:
    """Finds the longest row of a column from the levels of its pages, which it takes one after another."""

    def __init__(self) -> None:
        # Values of the longest row that has ended.
        self._longest = 0
        # Values so far of the row that has not ended.
        self._open = 0

    @property
    def longest(self) -> int:
        """The number of values in the longest row so far."""
        return max(self._longest, self._open)

    def add_unknown(self, count: int) -> None:
        """Count `count` values whose levels are unknown as part of the row that has not ended."""
        self._open += count

    def add_page(self, levels: bytes, max_level: int, value_count: int) -> int:
        """Take the levels of a page, and return how many rows begin in it. Raises PagesUnreadableError."""
        stream, width, starts = io.BytesIO(levels), max_level.bit_length(), 0
        while value_count > 0:
            head = read_varint(stream)
            if not head & 1:
                count = min(head >> 1, value_count)
                starts += self._add_run(count, begins_rows=not any(stream.read((width + 7) // 8)))
                value_count -= count
                continue
            left = (head >> 1) * width
            while value_count > 0 and (piece := stream.read(min(left, _PIECE_BYTES * width))):
                starts += self._add_marks(_unpack(piece, width)[:value_count])
                value_count -= 8 * len(piece) // width
                left -= len(piece)
        return starts

    def _add_run(self, count: int, *, begins_rows: bool) -> int:
        if not begins_rows or not count:
            self._open += count
            return 0
        self._longest = max(self.longest, 1)
        self._open = 1
        return count

    def _add_marks(self, marks: str) -> int:
        """Take a mark for each value, `0` where a row begins, and return how many rows begin."""
        rest, *rows = marks.split("0")
        self._open += len(rest)
        if rows:
            self._longest = max(self.longest, *(len(row) + 1 for row in rows))
            self._open = len(rows[-1]) + 1
        return len(rows)


def read_levels(file: BinaryIO, page: Page, compression: str) -> bytes | None:
    """Return the levels of a page of a nested column, or None if their encoding is not supported here.

    The page is decompressed if necessary.
    """
    if page.kind == "data_v2":
        file.seek(page.offset)
        return file.read(min(page.level_bytes, page.stored_bytes))
    content = read_content(file, page, compression) if page.level_encoding == _RLE else None
    if content is None:
        return None
    size = int.from_bytes(content[:_LENGTH_BYTES], "little")
    return content[_LENGTH_BYTES : _LENGTH_BYTES + size]


def find_longest_text(file: BinaryIO, page: Page, compression: str) -> int:
    """Return the size in bytes of the longest text on a dictionary page, which stores a length before each text."""
    content = read_content(file, page, compression)
    if content is None:
        return page.plain_bytes
    longest = position = 0
    for _ in range(page.value_count):
        if position >= len(content):
            break
        length = int.from_bytes(content[position : position + _LENGTH_BYTES], "little")
        longest = max(longest, length)
        position += _LENGTH_BYTES + length
    return min(longest, len(content))


def _unpack(packed: bytes, width: int) -> str:
    bits = f"{int.from_bytes(packed, 'little'):0{8 * len(packed)}b}"[::-1]
    if width == 1:
        return bits
    none = "0" * width
    return "".join("0" if bits[index : index + width] == none else "1" for index in range(0, len(bits), width))
