"""Measures the cells of a decoded Parquet batch before they become Python objects.

A decoded batch holds a text that many values share only once; Python objects hold a copy for each value.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyarrow import Array, RecordBatch

# One value as a Python object, with a reference to it.
_OBJECT_BYTES = 64


class CellSize(NamedTuple):
    """The size of some cells: the bytes of their texts, and the number of values at all levels, nulls included."""

    text_bytes: int
    value_count: int

    @property
    def line_bytes(self) -> int:
        """The bytes of these cells as JSON, or a little less."""
        return self.text_bytes + self.value_count

    @property
    def object_bytes(self) -> int:
        """The bytes of these cells as Python objects."""
        return self.text_bytes + _OBJECT_BYTES * self.value_count


def measure_batch(batch: "RecordBatch") -> CellSize:
    """Return the size of all cells of a batch together."""
    return _add(measure_cells(column) for column in batch.columns)


def measure_cells(array: "Array") -> CellSize:
    """Return the size of all cells of a column together. Lists and structs count with everything in them."""
    import pyarrow as pa
    import pyarrow.types as types

    if isinstance(array, pa.ExtensionArray):
        return measure_cells(array.storage)
    if types.is_struct(array.type):
        parts = array.flatten()
    elif types.is_map(array.type):
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        parts = [array.keys.slice(start, end - start), array.items.slice(start, end - start)]
    elif types.is_nested(array.type):
        parts = [array.flatten()]
    else:
        return CellSize(_count_text_bytes(array), len(array))
    return _add([CellSize(0, len(array)), *map(measure_cells, parts)])


def _count_text_bytes(array: "Array") -> int:
    import pyarrow.compute as pc
    import pyarrow.types as types

    if types.is_dictionary(array.type):
        lengths = pc.take(_measure_texts(array.dictionary), array.indices)
    else:
        lengths = _measure_texts(array)
    return pc.sum(lengths).as_py() or 0


def _measure_texts(array: "Array") -> "Array":
    """Return the length in bytes of each text; 0 for a value that is not a text."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    kind = array.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        return pc.cast(pc.binary_length(array), pa.int64())
    width = kind.byte_width if types.is_fixed_size_binary(kind) else 0
    return pa.repeat(pa.scalar(width, pa.int64()), len(array))


def _add(sizes: Iterable[CellSize]) -> CellSize:
    texts, counts = zip(*sizes, strict=True)
    return CellSize(sum(texts), sum(counts))
