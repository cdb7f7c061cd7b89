"""The pages of a Parquet column: their headers, read without decoding what they hold, and their content.

A page's own header says how much memory the page takes; the summary at the end of the file may be wrong. The headers
are structs in Thrift's compact protocol (PageHeader in https://github.com/apache/parquet-format).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from emomodel.errors import EmomodelError

PageKind = Literal["data", "data_v2", "dictionary", "other"]

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_KINDS: dict[int, PageKind] = {_DATA: "data", _DICTIONARY: "dictionary", _DATA_V2: "data_v2"}

# Types of the compact protocol; lists, sets and maps occur in no page header.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12
_DOUBLE_BYTES = 8
_VARINT_BYTES = 10
_MAX_DEPTH = 8

Struct = dict[int, "int | Struct"]


class PagesUnreadableError(EmomodelError):
    """The pages of a column are not where the file says they are, or their headers are damaged."""

    code = "parquet_unreadable"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a column. In a flat column a row is one value; in a nested one it may be many, on several pages."""

    kind: PageKind
    # Where the content begins in the file, and its size in bytes, stored and decompressed.
    offset: int
    stored_bytes: int
    plain_bytes: int
    value_count: int
    encoding: int
    # For pages of kind `data`: the encoding of the levels, which say where rows begin.
    level_encoding: int
    # For pages of kind `data_v2`: the size of these levels in bytes, at the beginning of the content.
    level_bytes: int

    @property
    def is_data(self) -> bool:
        """Whether the page holds values of rows."""
        return self.kind in ("data", "data_v2")


def read_pages(file: BinaryIO, start: int, end: int, value_count: int) -> Iterator[Page]:
    """Yield the pages between two offsets of the file, until they hold `value_count` values.

    The decoder reads pages in the same way, so no page that it will decode is missed. Raises PagesUnreadableError.
    """
    seen = 0
    while seen < value_count and start < end:
        page = _read_page(file, start)
        yield page
        seen += page.value_count if page.is_data else 0
        start = page.offset + page.stored_bytes


def read_content(file: BinaryIO, page: Page, compression: str) -> bytes | None:
    """Return a page's decompressed content, or None if it can't be decompressed; the decoder then reports why."""
    import pyarrow as pa

    file.seek(page.offset)
    content = file.read(page.stored_bytes)
    if compression == "UNCOMPRESSED":
        return content
    try:
        # Parquet's LZ4 is either plain blocks or those of Hadoop, which pyarrow doesn't offer.
        codec = pa.Codec("lz4_raw" if compression == "LZ4" else compression.lower())
        return bytes(codec.decompress(content, page.plain_bytes, asbytes=True))
    except (pa.ArrowException, OSError, ValueError):
        return None


def _read_page(file: BinaryIO, start: int) -> Page:
    file.seek(start)
    header = _read_struct(file)
    kind = _KINDS.get(_get_int(header, 1), "other")
    details = header.get({"data": 5, "dictionary": 7, "data_v2": 8, "other": 0}[kind], {})
    if not isinstance(details, dict):
        raise PagesUnreadableError("a page's header is damaged")
    page = Page(
        kind=kind,
        offset=file.tell(),
        stored_bytes=_get_int(header, 3),
        plain_bytes=_get_int(header, 2),
        value_count=_get_int(details, 1),
        encoding=_get_int(details, 4 if kind == "data_v2" else 2),
        level_encoding=_get_int(details, 4),
        level_bytes=_get_int(details, 6),
    )
    if min(page.stored_bytes, page.plain_bytes, page.value_count, page.level_bytes) < 0:
        raise PagesUnreadableError("a page's header has a negative size")
    return page


def _get_int(struct: Struct, number: int) -> int:
    value = struct.get(number, 0)
    return value if isinstance(value, int) else 0


def _read_struct(file: BinaryIO, depth: int = 0) -> Struct:
    """Return the fields that are 32-bit numbers or structs, by their number; others are skipped."""
    fields: Struct = {}
    number = 0
    while kind := (head := _read_byte(file)) & 0x0F:
        delta = head >> 4
        number = _wrap(number + delta if delta else _unzigzag(read_varint(file)), bits=16)
        if kind == _I32:
            fields[number] = _wrap(_unzigzag(read_varint(file) & 0xFFFF_FFFF), bits=32)
        elif kind == _STRUCT and depth < _MAX_DEPTH:
            fields[number] = _read_struct(file, depth + 1)
        else:
            _skip(file, kind)
    return fields


def _skip(file: BinaryIO, kind: int) -> None:
    if kind in (_I16, _I64):
        read_varint(file)
    elif kind == _BINARY:
        file.seek(read_varint(file), 1)
    elif kind in (_BYTE, _DOUBLE):
        file.seek(1 if kind == _BYTE else _DOUBLE_BYTES, 1)
    elif kind not in (_TRUE, _FALSE):
        raise PagesUnreadableError("a page's header is damaged")


def _read_byte(file: BinaryIO) -> int:
    byte = file.read(1)
    if not byte:
        raise PagesUnreadableError("the content ends too early")
    return byte[0]


def read_varint(file: BinaryIO) -> int:
    """Read a number that has 7 bits in each byte, the lowest bits first. Raises PagesUnreadableError."""
    value = 0
    for index in range(_VARINT_BYTES):
        byte = _read_byte(file)
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value
    raise PagesUnreadableError("a number has too many bytes")


def _unzigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)


def _wrap(value: int, *, bits: int) -> int:
    """Return the value as a signed number of `bits` bits, with overflow, as the decoder reads it."""
    half = 1 << (bits - 1)
    return ((value + half) & (2 * half - 1)) - half
