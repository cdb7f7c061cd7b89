"""Any supported file as JSON Lines records.

A record's place is its line for JSON Lines, the line where it begins for CSV, the row for Parquet, and its number among
the objects for a JSON array; all count from 1.
"""

import io
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from emomodel.data.examples import BLANK_BYTES, BYTE_ORDER_MARK
from emomodel.data.formats import csv_file, json_array, parquet_file
from emomodel.data.formats.codes import COMPRESSED_DAMAGED
from emomodel.data.formats.kinds import SNIFFED_BYTES, find_kind
from emomodel.data.formats.mapping import LabelMapping, LabelRowReader
from emomodel.data.formats.rows import ChatRowReader, Row, RowReader
from emomodel.data.formats.source import CompressedDamagedError, Limits, find_compression, open_source
from emomodel.data.json_line import parse_object
from emomodel.data.problems import Finding, LinesInvalid, problem_at
from emomodel.emotions import DEFAULT_AXES, Axes

_DAMAGED_FIX = "Compress the file again, or upload it as it is."


class Record(NamedTuple):
    """One JSON Lines record and its place in the source, or what is wrong there."""

    place: int
    content: bytes | Finding


def open_records(
    path: Path, mapping: LabelMapping | None = None, *, axes: Axes = DEFAULT_AXES, limits: Limits | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield each record with its place. Raises LinesInvalid at the first that can't be read, and SourceTooLarge.

    A record may still not be an example: DatasetValidator.feed_record checks that.
    """
    for place, content in read_records(path, make_row_reader(mapping, axes), limits or Limits()):
        if isinstance(content, Finding):
            problem = problem_at(place, content)
            raise LinesInvalid(f"{path.name}, {problem}", (problem,))
        yield place, content


def make_row_reader(mapping: LabelMapping | None, axes: Axes) -> RowReader:
    """The reader of rows with labels, if there is a mapping for them, or else of chats."""
    return ChatRowReader(axes) if mapping is None else LabelRowReader(mapping, axes)


def read_records(path: Path, reader: RowReader, limits: Limits) -> Iterator[Record]:
    """Yield records, and findings for those that can't be read, keeping only a few in memory. Raises SourceTooLarge.

    A record over `limits.max_line_bytes` is cut to one byte more than that.
    """
    place = 0
    try:
        with open_source(path, limits.max_bytes) as stream:
            for record in _read_stream(path, stream, reader, limits):
                place = record.place
                yield record
    except CompressedDamagedError as error:
        message = f"the compressed data is damaged: {error}"
        yield Record(place + 1, Finding(COMPRESSED_DAMAGED, message, _DAMAGED_FIX))


def _read_stream(path: Path, stream: io.BufferedReader, reader: RowReader, limits: Limits) -> Iterator[Record]:
    kind = find_kind(stream.peek(SNIFFED_BYTES), reader.columns)
    if kind == "csv":
        return _read_table(csv_file.read_rows(stream, reader, limits.max_line_bytes), reader)
    if kind == "parquet":
        return _read_parquet(path, stream, reader, limits)
    elements = _split_array(stream, limits) if kind == "json" else _split_lines(stream, limits.max_line_bytes)
    return elements if isinstance(reader, ChatRowReader) else _map_objects(elements, reader)


def _read_table(rows: Iterator[tuple[int, Row | Finding]], reader: RowReader) -> Iterator[Record]:
    for place, row in rows:
        yield Record(place, row if isinstance(row, Finding) else reader.read(row))


def _read_parquet(path: Path, stream: io.BufferedReader, reader: RowReader, limits: Limits) -> Iterator[Record]:
    """Read Parquet, which is read from its end: a compressed file is first decompressed into a temporary one."""
    with path.open("rb") as file:
        if find_compression(file.read(SNIFFED_BYTES)) is None:
            yield from _read_table(parquet_file.read_rows(file, reader, limits), reader)
            return
    with tempfile.TemporaryFile(dir=path.parent) as plain:
        shutil.copyfileobj(stream, plain)
        plain.seek(0)
        yield from _read_table(parquet_file.read_rows(plain, reader, limits), reader)


def _split_array(stream: io.BufferedReader, limits: Limits) -> Iterator[Record]:
    skip_byte_order_mark(stream)
    for place, element in enumerate(json_array.split_array(stream, limits.max_line_bytes), start=1):
        yield Record(place, element)


def _split_lines(stream: io.BufferedReader, max_line_bytes: int) -> Iterator[Record]:
    skip_byte_order_mark(stream)
    number = 0
    while line := stream.readline(max_line_bytes + 2):
        number += 1
        is_whole = line.endswith(b"\n")
        line = line.rstrip(BLANK_BYTES)
        if line:
            yield Record(number, line[: max_line_bytes + 1])
        while not is_whole and (rest := stream.readline(max_line_bytes)):
            is_whole = rest.endswith(b"\n")


def skip_byte_order_mark(stream: io.BufferedReader) -> None:
    """Skip a UTF-8 byte order mark at the stream's position, if there is one."""
    if stream.peek(len(BYTE_ORDER_MARK)).startswith(BYTE_ORDER_MARK):
        stream.read(len(BYTE_ORDER_MARK))


def _map_objects(elements: Iterator[Record], reader: RowReader) -> Iterator[Record]:
    for place, element in elements:
        document = element if isinstance(element, Finding) else parse_object(element)
        if isinstance(document, Finding):
            yield Record(place, document)
            continue
        yield Record(place, reader.read({name.strip().lower(): value for name, value in document.items()}))
