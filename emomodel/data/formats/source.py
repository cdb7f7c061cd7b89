"""Opens a file as a plain stream, decompressed if necessary, with a limit on its size."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, cast

from emomodel.data.validation import MAX_LINE_BYTES
from emomodel.errors import EmomodelError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Compression = Literal["gzip", "zstd"]

GIB = 1024**3
_PIECE_BYTES = 1 << 18
_GZIP_MARK = b"\x1f\x8b"
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"
# A zstd file may begin with a frame that holds no data; its first byte has sixteen possible values.
_ZSTD_SKIPPED_MARK = b"\x2a\x4d\x18"
_MARK_BYTES = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """The most bytes that are read: of the decompressed content, and of one record."""

    max_bytes: int = 2 * GIB
    max_line_bytes: int = MAX_LINE_BYTES


class SourceTooLarge(EmomodelError):
    """The content, decompressed or as JSON Lines, has more bytes than allowed."""

    code = "dataset_too_large"


class CompressedDamagedError(EmomodelError):
    """The compressed data is damaged, or ends too early."""

    code = "compressed_damaged"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def find_compression(beginning: bytes) -> Compression | None:
    """The compression of a file, by its first bytes; None if it is plain."""
    if beginning.startswith(_GZIP_MARK):
        return "gzip"
    is_skipped_frame = beginning[1:_MARK_BYTES] == _ZSTD_SKIPPED_MARK and beginning[0] & 0xF0 == 0x50
    return "zstd" if beginning.startswith(_ZSTD_MARK) or is_skipped_frame else None


@contextmanager
def open_source(path: Path, max_bytes: int) -> Iterator[io.BufferedReader]:
    """Open the decompressed content of a file. Reading it raises SourceTooLarge and CompressedDamagedError."""
    with path.open("rb") as file:
        compression = find_compression(file.read(_MARK_BYTES))
        file.seek(0)
        read = _make_reader(file, compression)
        with io.BufferedReader(_BoundedStream(read, max_bytes), _PIECE_BYTES) as stream:
            yield cast("io.BufferedReader", stream)


def _make_reader(file: BinaryIO, compression: Compression | None) -> Callable[[int], bytes]:
    if compression is None:
        return file.read
    if compression == "gzip":
        return _translate(gzip.GzipFile(fileobj=file, mode="rb"), (EOFError, gzip.BadGzipFile, zlib.error))
    # Imported only when needed, as it takes 40 MiB and most uploads are plain text.
    import pyarrow as pa

    return _translate(pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"), (OSError,))


def _translate(source: _Readable, errors: tuple[type[Exception], ...]) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        try:
            return source.read(size)
        except errors as error:
            raise CompressedDamagedError(str(error)) from error

    return read


class _BoundedStream(io.RawIOBase):
    """The bytes that `read` returns, up to a limit, as a small file may decompress to terabytes."""

    def __init__(self, read: Callable[[int], bytes], max_bytes: int) -> None:
        self._read = read
        self._max_bytes = self._left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        piece = self._read(len(view))
        self._left -= len(piece)
        if self._left < 0:
            raise SourceTooLarge(f"the file has more than {self._max_bytes} bytes, decompressed; split it")
        view[: len(piece)] = piece
        return len(piece)
