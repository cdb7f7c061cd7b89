"""Parquet -> rows, a few at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from emomodel.data.formats.codes import PARQUET_UNREADABLE
from emomodel.data.formats.rows import Row, RowReader, make_row, read_header
from emomodel.data.formats.source import SourceTooLarge
from emomodel.data.problems import Finding

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.parquet import FileMetaData

# Rows are decoded in batches of about this many bytes, by their average size.
_BATCH_BYTES = 4 << 20
_MAX_BATCH_ROWS = 1024
_FIX = "Write the table again, or convert it to JSON Lines."


def read_rows(file: BinaryIO, reader: RowReader, max_bytes: int) -> Iterator[tuple[int, Row | Finding]]:
    """Each row with its number. A finding that the file can't be read, or lacks columns, is the last.

    Raises SourceTooLarge when its columns, decompressed, are more than `max_bytes`.
    """
    # Imported where it is needed: it takes 50 MiB, and most uploads are plain text.
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(file) as table:
            metadata, schema = table.metadata, table.schema_arrow
        if _count_bytes(metadata) > max_bytes:
            raise SourceTooLarge
        names = read_header(schema.names, reader)
        if isinstance(names, Finding):
            yield 1, names
            return
        # A text that occurs in many rows then takes memory once, however many rows a batch has.
        with pq.ParquetFile(file, metadata=metadata, read_dictionary=_list_text_columns(schema)) as table:
            for batch in table.iter_batches(batch_size=_choose_batch_rows(metadata)):
                for index in range(batch.num_rows):
                    number += 1
                    yield number, make_row(names, (column[index].as_py() for column in batch.columns))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        yield number + 1, Finding(PARQUET_UNREADABLE, f"the Parquet file can't be read: {reason}", _FIX)


def _count_bytes(metadata: "FileMetaData") -> int:
    return sum(int(metadata.row_group(index).total_byte_size) for index in range(metadata.num_row_groups))


def _choose_batch_rows(metadata: "FileMetaData") -> int:
    row_bytes = _count_bytes(metadata) // max(int(metadata.num_rows), 1)
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // max(row_bytes, 1)))


def _list_text_columns(schema: "Schema") -> list[str]:
    import pyarrow.types as types

    return [field.name for field in schema if types.is_string(field.type) or types.is_large_string(field.type)]
