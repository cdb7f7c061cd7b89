"""Finds how much memory the decoding of a row group of a Parquet file will take, before any of it is decoded.

A few kilobytes can become gigabytes: by compression, by a large value of a dictionary that many rows refer to, by
prefixes that values share, and by a row of a nested column that has a billion values.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from emomodel.data.formats.codes import PARQUET_TOO_LARGE
from emomodel.data.formats.parquet_pages import Page, PagesUnreadableError, read_pages
from emomodel.data.formats.parquet_rows import RowTracker, find_longest_text, read_levels
from emomodel.data.problems import Finding, quote

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.parquet import ColumnChunkMetaData, ColumnSchema, ParquetFile

MIB = 1 << 20
# The limit for the largest decompressed pages of all columns and one row. Decoding takes up to three times as much.
MAX_GROUP_BYTES = 64 * MIB
# Where an operator allows longer rows, the limit is this many of the longest row.
_MAX_GROUP_ROWS = 8
# The limit for the summary at the end of the file. As objects it takes twenty times as much.
MAX_FOOTER_BYTES = 8 * MIB
# The last bytes of the file: the length of the summary, and a mark.
_TAIL_BYTES = 8
_LENGTH_BYTES = 4
_BATCH_BYTES = 4 * MIB
_MAX_BATCH_ROWS = 1024

# For each value: its index or number, offset and validity, and its levels.
_VALUE_BYTES = 16
# For each list that contains a value.
_LIST_BYTES = 8
# An entry of a dictionary is a length and a pointer.
_ENTRY_BYTES = 16
_SHARED_PREFIXES = 7  # DELTA_BYTE_ARRAY

_GROUP_FIX = (
    "Write the table in row groups of fewer rows, leave out columns that aren't needed, or convert it to JSON Lines."
)
_FOOTER_FIX = "Write the table in fewer and larger row groups, in several files, or convert it to JSON Lines."
_ROW_FIX = "Split the dialogue into several examples, or leave out columns that aren't needed."


@dataclass(slots=True)
class _Need:
    """The memory in bytes that decoding a column of a row group takes."""

    # However many rows are read at a time: the dictionary, the largest data page, and the pages that one row spans.
    held: int
    # For each row that is read at a time.
    row: int

    @property
    def total(self) -> int:
        return self.held + self.row


def check_footer(file: BinaryIO) -> Finding | None:
    """Return a finding if the summary at the end of the file is too large to read. The decoder reports other faults."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - _TAIL_BYTES, 0))
    footer_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if not MAX_FOOTER_BYTES < footer_bytes <= size:
        return None
    message = (
        f"the list of row groups and columns at the end of the Parquet file has {_print_bytes(footer_bytes)}, and may "
        f"have {_print_bytes(MAX_FOOTER_BYTES)}"
    )
    return Finding(PARQUET_TOO_LARGE, message, _FOOTER_FIX)


def choose_batch_rows(file: BinaryIO, table: "ParquetFile", group: int, max_row_bytes: int) -> int | Finding:
    """Return how many rows of a row group may be decoded at a time, or a finding if even one takes too much memory.

    Raises PagesUnreadableError.
    """
    limit = max(MAX_GROUP_BYTES, _MAX_GROUP_ROWS * max_row_bytes)
    metadata, grows = table.metadata, _list_growing(table.schema_arrow)
    # A list, since two fields of a struct may have the same path.
    needs: list[tuple[str, _Need]] = []
    for index in range(metadata.num_columns):
        column, schema = metadata.row_group(group).column(index), metadata.schema.column(index)
        sizes = _Sizes(schema, grows=schema.path.startswith(grows))
        needs.append((schema.path, _measure_column(file, column, sizes)))
    if sum(need.total for _, need in needs) > limit:
        return _refuse(needs, limit, f"row group {group + 1}", metadata.row_group(group).num_rows)
    row_bytes = sum(need.row for _, need in needs)
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // max(row_bytes, 1)))


def _list_growing(schema: "Schema") -> tuple[str, ...]:
    """Return prefixes of the paths of columns that pyarrow reads as indices into a dictionary.

    Their writer declared them so. For such a column pyarrow keeps every text of the row group.
    """
    return tuple(field.name for field in schema if "dictionary<" in str(field.type))


def _refuse(needs: list[tuple[str, _Need]], limit: int, group: str, row_count: int) -> Finding:
    path, need = max(needs, key=lambda pair: pair[1].total)
    rows = "1 row" if row_count == 1 else f"{row_count} rows"
    message = (
        f"{group} ({rows}) takes too much memory to read: its column {quote(path)} alone needs up to "
        f"{_print_bytes(need.total)}, and all columns together may take {_print_bytes(limit)}"
    )
    fix = _ROW_FIX if row_count == 1 else _GROUP_FIX
    return Finding(PARQUET_TOO_LARGE, message, fix, path.partition(".")[0])


def _print_bytes(count: int) -> str:
    return f"{-(-count // MIB):,} MiB"


def _measure_column(file: BinaryIO, column: "ColumnChunkMetaData", sizes: "_Sizes") -> _Need:
    """Measure a column as if it were one row, which is fast; if that is too much, find the rows of a nested one."""
    for page in _read_pages(file, column):
        if page.is_data:
            sizes.add_data(page, starts=page.value_count if sizes.is_flat else 0)
        else:
            sizes.add_dictionary(file, page, column.compression)
    if sizes.is_flat or sizes.need.total <= _BATCH_BYTES or sizes.is_hopeless:
        return sizes.need
    sizes.forget_rows()
    for page in filter(lambda page: page.is_data, _read_pages(file, column)):
        sizes.add_data(page, levels=read_levels(file, page, column.compression))
    return sizes.need


def _read_pages(file: BinaryIO, column: "ColumnChunkMetaData") -> Iterator[Page]:
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    try:
        yield from read_pages(file, start, start + column.total_compressed_size, column.num_values)
    except (PagesUnreadableError, OSError, ValueError) as error:
        raise PagesUnreadableError(f"column {quote(column.path_in_schema)}: {error}") from error


class _Sizes:
    """Adds up the sizes of the pages of one column in one row group."""

    def __init__(self, schema: "ColumnSchema", *, grows: bool) -> None:
        self._max_level: int = schema.max_repetition_level
        self._value_bytes = _VALUE_BYTES + _LIST_BYTES * self._max_level
        if schema.physical_type == "FIXED_LEN_BYTE_ARRAY":
            self._value_bytes += schema.length
        self._has_texts = schema.physical_type == "BYTE_ARRAY"
        self._grows = grows
        self._dictionary_bytes = 0
        # The longest text that many values may share, completely or in part.
        self._text_bytes = 0
        self.forget_rows()

    def forget_rows(self) -> None:
        """Forget all data pages, and keep the dictionary."""
        self._rows = RowTracker()
        self._page_bytes = 0
        self._all_bytes = 0
        # The size of the pages that the row which has not ended spans, and the maximum for any row.
        self._open_bytes = 0
        self._span_bytes = 0
        # The maximum, over the pages, of a page's size divided by the rows that begin in it.
        self._share_bytes = 0

    @property
    def is_flat(self) -> bool:
        """Whether a row is one value."""
        return self._max_level == 0

    @property
    def is_hopeless(self) -> bool:
        """Whether the column takes too much memory, however its values are divided into rows."""
        return self._dictionary_bytes + self._page_bytes > MAX_GROUP_BYTES

    def add_dictionary(self, file: BinaryIO, page: Page, compression: str) -> None:
        size = max(page.plain_bytes, page.stored_bytes)
        self._dictionary_bytes += size + _ENTRY_BYTES * page.value_count
        if self._has_texts:
            longest = size if self.is_hopeless else find_longest_text(file, page, compression)
            self._text_bytes = max(self._text_bytes, longest)

    def add_data(self, page: Page, *, starts: int = 0, levels: bytes | None = None) -> None:
        """Take a page in which `starts` rows begin; if there are `levels`, these say how many begin."""
        if levels is None:
            self._rows.add_unknown(page.value_count)
        else:
            starts = self._rows.add_page(levels, self._max_level, page.value_count)
        size = max(page.plain_bytes, page.stored_bytes)
        self._page_bytes = max(self._page_bytes, size)
        self._all_bytes += size
        if page.encoding == _SHARED_PREFIXES:
            self._text_bytes = max(self._text_bytes, size)
        self._open_bytes += size
        self._span_bytes = max(self._span_bytes, self._open_bytes)
        if starts:
            self._share_bytes = max(self._share_bytes, size // starts)
            self._open_bytes = 0 if self.is_flat else size

    @property
    def need(self) -> _Need:
        longest = 1 if self.is_flat else self._rows.longest
        held = self._dictionary_bytes + (self._all_bytes if self._grows else self._span_bytes)
        return _Need(held, longest * (self._value_bytes + self._text_bytes) + self._share_bytes)
