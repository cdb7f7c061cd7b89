"""CSV with a header -> rows; commas, semicolons or tabs, texts in quotes may hold line breaks."""

import csv
import io
from collections.abc import Collection, Iterator

from emomodel.data.examples import BYTE_ORDER_MARK
from emomodel.data.formats.codes import CSV_ROW_BROKEN
from emomodel.data.formats.kinds import SEPARATORS
from emomodel.data.formats.rows import Row, RowReader, make_row, read_header
from emomodel.data.problems import Finding

_QUOTES_FIX = 'Put texts with separators or line breaks in double quotes, and write a double quote in them twice: "".'

_HEADER_FIX = "End each line with a newline (LF or CR LF), and put names with line breaks in double quotes."


class _RowTooLongError(Exception):
    """Raised where the csv module asks for the next line, to end it."""


def read_rows(stream: io.BufferedReader, reader: RowReader, max_row_bytes: int) -> Iterator[tuple[int, Row | Finding]]:
    """Yield each row with the number of its first line. A finding about the header, or a row without end, is last."""
    # The csv module's own limit is lower, and applies to the whole process.
    csv.field_size_limit(max(csv.field_size_limit(), max_row_bytes))
    lines = _Lines(stream, max_row_bytes)
    header = lines.read_header()
    separator = _find_separator(header, reader.columns)
    table = csv.reader(lines, delimiter=separator, strict=True)
    names = _read_names(header, separator, reader)
    if isinstance(names, Finding):
        yield 1, names
        return
    while True:
        place = lines.begin_row()
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield place, Finding(CSV_ROW_BROKEN, f"the row can't be read: {error}", _QUOTES_FIX)
            continue
        except _RowTooLongError:
            message = f"the row is longer than {max_row_bytes} bytes; a quote may be never closed"
            yield place, Finding("line_too_long", message, _QUOTES_FIX)
            return
        if len(cells) == len(names):
            yield place, make_row(names, cells)
        elif cells:
            message = f"the row has {len(cells)} fields, the header {len(names)}"
            yield place, Finding(CSV_ROW_BROKEN, message, _QUOTES_FIX)


class _Lines:
    """The lines of a file as text. Counts them, and limits the length of one row."""

    def __init__(self, stream: io.BufferedReader, max_row_bytes: int) -> None:
        self._stream = stream
        self._max_row_bytes = max_row_bytes
        self._row_bytes = 0
        self._count = 0

    def read_header(self) -> str:
        """Return the first line that is not blank, up to the maximum length of a row; empty if there is none."""
        while line := self._stream.readline(self._max_row_bytes):
            header = self._decode(line)
            if header.strip():
                return header
        return ""

    def begin_row(self) -> int:
        """Begin a row, and return the number of its first line."""
        self._row_bytes = 0
        return self._count + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(self._max_row_bytes + 1)
        if not line:
            raise StopIteration
        self._row_bytes += len(line)
        if self._row_bytes > self._max_row_bytes:
            raise _RowTooLongError
        return self._decode(line)

    def _decode(self, line: bytes) -> str:
        self._count += 1
        if self._count == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        # Bytes that are not UTF-8 become half characters, and their row is reported later.
        return line.decode("utf-8", "surrogateescape")


def _read_names(header: str, separator: str, reader: RowReader) -> tuple[str, ...] | Finding:
    if not header:
        return Finding("file_empty", "the file ends before its header", "Begin it with a line that names the columns.")
    try:
        return read_header(next(csv.reader([header], delimiter=separator)), reader)
    except csv.Error as error:
        return Finding(CSV_ROW_BROKEN, f"the header can't be read: {error}", _HEADER_FIX)


def _find_separator(header: str, columns: Collection[str]) -> str:
    def count_known(separator: str) -> int:
        return sum(field.strip(' "\r\n').lower() in columns for field in header.split(separator))

    return max(SEPARATORS, key=count_known)
