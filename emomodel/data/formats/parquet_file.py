"""Reads the rows of a Parquet file, a few at a time, so that the memory has a limit."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from emomodel.data.formats.codes import PARQUET_UNREADABLE
from emomodel.data.formats.parquet_cells import measure_batch, measure_cells
from emomodel.data.formats.parquet_memory import check_footer, choose_batch_rows
from emomodel.data.formats.parquet_pages import PagesUnreadableError
from emomodel.data.formats.rows import Row, RowReader, make_row, read_header
from emomodel.data.formats.source import Limits, SourceTooLarge
from emomodel.data.problems import Finding, quote
from emomodel.errors import get_first_line

if TYPE_CHECKING:
    from pyarrow import RecordBatch
    from pyarrow.parquet import FileMetaData

# How many compressed bytes of a column are read at a time.
_READ_BYTES = 1 << 16
# If the rows of a batch would take more than this as Python objects, each row is measured before it is made.
_EASY_BYTES = 16 << 20
_FIX = "Write the table again, or convert it to JSON Lines."
_ROW_FIX = "Split the dialogue into several examples, or leave out columns that aren't needed."


def read_rows(file: BinaryIO, reader: RowReader, limits: Limits) -> Iterator[tuple[int, Row | Finding]]:
    """Yield each row with its number, from 1. In place of a row over `limits.max_line_bytes` there is a finding.

    A finding that the file can't be read, takes too much memory, or lacks columns, is the last item. Raises
    SourceTooLarge when the decompressed columns have more than `limits.max_bytes`.
    """
    too_large = check_footer(file)
    if too_large is None:
        yield from _read_rows(file, reader, limits)
    else:
        yield 1, too_large


def _read_rows(file: BinaryIO, reader: RowReader, limits: Limits) -> Iterator[tuple[int, Row | Finding]]:
    # Imported only here, since it takes 50 MiB, and most uploads are plain text.
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as table:
            metadata, names = table.metadata, read_header(table.schema_arrow.names, reader)
        if _count_bytes(metadata) > limits.max_bytes:
            raise SourceTooLarge
        if isinstance(names, Finding):
            yield 1, names
            return
        for batch in _read_batches(file, metadata, limits.max_line_bytes):
            if isinstance(batch, Finding):
                yield number + 1, batch
                return
            for row in _make_rows(batch, names, limits.max_line_bytes):
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, UnicodeDecodeError, PagesUnreadableError) as error:
        reason = get_first_line(error).rstrip(".")
        yield number + 1, Finding(PARQUET_UNREADABLE, f"the Parquet file can't be read: {reason}", _FIX)


def _count_bytes(metadata: "FileMetaData") -> int:
    return sum(int(metadata.row_group(index).total_byte_size) for index in range(metadata.num_row_groups))


def _read_batches(file: BinaryIO, metadata: "FileMetaData", max_row_bytes: int) -> Iterator["RecordBatch | Finding"]:
    """Yield the rows of all row groups in batches. A finding about a row group is the last item."""
    import pyarrow.parquet as pq

    # `pre_buffer` would read a complete row group ahead.
    with pq.ParquetFile(file, metadata=metadata, buffer_size=_READ_BYTES, pre_buffer=False) as table:
        for group in range(metadata.num_row_groups):
            rows = choose_batch_rows(file, table, group, max_row_bytes)
            if isinstance(rows, Finding):
                yield rows
                return
            yield from table.iter_batches(batch_size=rows, row_groups=[group], use_threads=False)


def _make_rows(batch: "RecordBatch", names: tuple[str, ...], max_row_bytes: int) -> Iterator[Row | Finding]:
    is_easy = measure_batch(batch).object_bytes <= _EASY_BYTES
    for index in range(batch.num_rows):
        too_long = None if is_easy else _find_too_long(batch.slice(index, 1), names, max_row_bytes)
        yield too_long or make_row(names, (column[index].as_py() for column in batch.columns))


def _find_too_long(row: "RecordBatch", names: tuple[str, ...], max_row_bytes: int) -> Finding | None:
    sizes = [measure_cells(column).line_bytes for column in row.columns]
    if sum(sizes) <= max_row_bytes:
        return None
    largest = max(range(len(names)), key=sizes.__getitem__)
    message = (
        f"the row is longer than {max_row_bytes} bytes: the column {quote(names[largest])} alone has {sizes[largest]}"
    )
    return Finding("line_too_long", message, _ROW_FIX, names[largest])
