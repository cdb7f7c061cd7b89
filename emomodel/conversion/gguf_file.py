"""The GGUF file format, as far as a conversion needs it: metadata, and a copy without the vocabulary.

A GGUF file is a head (magic, version, counts), key-value pairs, one short description per tensor, and the tensors'
data, aligned, at offsets that count from where the data starts. The reader of the `gguf` package takes 10 s and 0.8 GB
for a vocabulary of 262,144 pieces, and transformers runs it twice; this one takes a third of a second.
"""

import mmap
import shutil
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emomodel.conversion.folder import GgufInvalid

GgufScalar = bool | int | float | str
GgufValue = GgufScalar | list[bool] | list[int] | list[float] | list[str]

_MAGIC = b"GGUF"
_HEAD = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of pairs
_VERSIONS = (2, 3)  # Both are little-endian with 64-bit lengths; what is read here is the same in both.
_DEFAULT_ALIGNMENT = 32
_ALIGNMENT_KEY = "general.alignment"

_UINT32 = 4
_STRING = 8
_ARRAY = 9
# The struct letter of each scalar type, by its number in the format.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", _UINT32: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


@dataclass(frozen=True)
class GgufHeader:
    """What a file has before the data of its tensors. `raw_` fields are the bytes of the file, for copying."""

    version: int
    values: dict[str, GgufValue]
    raw_pairs: dict[str, bytes]
    tensor_count: int
    raw_tensor_infos: bytes
    data_start: int

    @property
    def alignment(self) -> int:
        """The start of the data is padded to a multiple of this number of bytes. Raises GgufInvalid."""
        alignment = self.values.get(_ALIGNMENT_KEY, _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise GgufInvalid(f"{_ALIGNMENT_KEY} is {alignment!r}, not a positive number")
        return alignment


def read_gguf_header(path: Path) -> GgufHeader:
    """Read all metadata of the file at `path`. The data of the tensors may be missing. Raises GgufInvalid."""
    if path.stat().st_size < _HEAD.size:
        raise GgufInvalid(f"{path.name} is too short to be a GGUF file")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _read_header(_Cursor(data))
        except (struct.error, ValueError) as error:
            raise GgufInvalid(f"{path.name} can't be read as GGUF: {error}") from error


def copy_gguf(
    source: Path, target: Path, header: GgufHeader, *, without: Collection[str], numbers: Mapping[str, int]
) -> None:
    """Copy the file `source` without the pairs named in `without`, and with `numbers` added as 32-bit integers.

    The tensors are copied as they are. Raises OSError.
    """
    pairs = [raw for key, raw in header.raw_pairs.items() if key not in without and key not in numbers]
    pairs += [_pack_string(key) + struct.pack("<II", _UINT32, number) for key, number in numbers.items()]
    head = _HEAD.pack(_MAGIC, header.version, header.tensor_count, len(pairs))
    start = head + b"".join(pairs) + header.raw_tensor_infos
    with source.open("rb") as reading, target.open("wb") as writing:
        writing.write(start + bytes(-len(start) % header.alignment))
        reading.seek(header.data_start)
        shutil.copyfileobj(reading, writing, 1 << 20)


def _pack_string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


class _Cursor:
    """Reads values one after the other. Raises struct.error or ValueError where the bytes end or are invalid."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.position = 0

    def scalars(self, letters: str) -> tuple[int | float | bool, ...]:
        layout = struct.Struct("<" + letters)
        values = layout.unpack_from(self.data, self.position)
        self.position += layout.size
        return values

    def integer(self, letter: str) -> int:
        (value,) = self.scalars(letter)
        return int(value)

    def take(self, size: int) -> bytes:
        taken = self.data[self.position : self.position + size]
        if len(taken) < size:
            raise ValueError("the file ends too early")
        self.position += size
        return taken

    def string(self) -> str:
        return self.take(self.integer("Q")).decode()

    def value(self, kind: int) -> GgufValue:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self._array()
        return self.scalars(_scalar_letter(kind))[0]

    def _array(self) -> GgufValue:
        kind, count = self.integer("I"), self.integer("Q")
        if count > len(self.data):
            raise ValueError(f"an array claims {count} values, more than the file has bytes")
        if kind == _STRING:
            return [self.string() for _ in range(count)]
        return list(self.scalars(f"{count}{_scalar_letter(kind)}"))


def _scalar_letter(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"unknown value type {kind}")
    return _SCALARS[kind]


def _read_header(cursor: _Cursor) -> GgufHeader:
    magic, version, tensor_count, pair_count = _HEAD.unpack(cursor.take(_HEAD.size))
    if magic != _MAGIC or version not in _VERSIONS:
        raise ValueError(f"it starts with {magic!r}, version {version}")
    values: dict[str, GgufValue] = {}
    raw_pairs: dict[str, bytes] = {}
    for _ in range(pair_count):
        start = cursor.position
        key = cursor.string()
        values[key] = cursor.value(cursor.integer("I"))
        raw_pairs[key] = cursor.data[start : cursor.position]
    infos_start = cursor.position
    for _ in range(tensor_count):
        cursor.string()
        dimension_count = cursor.integer("I")
        cursor.take(8 * dimension_count + 4 + 8)  # the dimensions, the type, the offset
    infos_end = cursor.position
    header = GgufHeader(version, values, raw_pairs, tensor_count, cursor.data[infos_start:infos_end], infos_end)
    return replace(header, data_start=infos_end + -infos_end % header.alignment)
