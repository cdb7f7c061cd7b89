"""How much the cells of a decoded Parquet batch hold, before Python objects are made of them.

Decoded, a text that many values share is there once; as Python objects it is there for each of them.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pyarrow import Array, RecordBatch

# A value as a Python object, and a reference to it.
_OBJECT_BYTES = 64


class CellSize(NamedTuple):
    """Bytes of texts, and the number of values at all levels, null or not."""

    text_bytes: int
    value_count: int

    @property
    def line_bytes(self) -> int:
        """What a row of this size takes as JSON, or a little less."""
        return self.text_bytes + self.value_count

    @property
    def object_bytes(self) -> int:
        """What it takes as Python objects."""
        return self.text_bytes + _OBJECT_BYTES * self.value_count


def measure_batch(batch: "RecordBatch") -> CellSize:
    """All cells of the batch together."""
    return _add(measure_cells(column) for column in batch.columns)


def measure_cells(array: "Array") -> CellSize:
    """All cells of one column together, those of lists and structs with what is in them."""
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
    """The length of each text; 0 for what is none."""
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
