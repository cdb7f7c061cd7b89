"""Exports a dataset in JSON Lines to its normal form as JSON Lines, a JSON array, CSV or Parquet, piece by piece.

CSV and Parquet get the columns `system`, `prompt`, `response` and one per axis if every example is one prompt and one
reply whose emotions fit these columns, or else a single column `messages`.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emomodel.data.examples import Example, Turn, read_examples
from emomodel.data.formats.rows import MESSAGES, PROMPT, RESPONSE, SYSTEM
from emomodel.data.printing import print_example, print_tagged
from emomodel.emotions import Axes, EmotionVector

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

ExportFormat = Literal["jsonl", "json", "csv", "parquet"]

_PIECE_BYTES = 1 << 18
# The maximum of rows in a row group, and of characters in their texts: readers hold a complete column of a row group.
_PARQUET_ROWS = 1000
_PARQUET_CHARACTERS = 8 << 20

# Text, or a number for an axis; None is an empty cell.
Cells = list[str | float | None]


def export(path: Path, axes: Axes, to: ExportFormat) -> Iterator[bytes]:
    """Yield the bytes of the dataset at `path` in the format `to`. Raises LinesInvalid for an invalid line."""
    if to == "jsonl":
        pieces: Iterator[bytes] = (
            f"{print_example(example, axes)}\n".encode() for example in read_examples(path, axes)
        )
    elif to == "json":
        pieces = _print_array(read_examples(path, axes), axes)
    else:
        is_flat = all(map(_is_flat, read_examples(path, axes)))
        header = [SYSTEM, PROMPT, RESPONSE, *(name.lower() for name in axes)] if is_flat else [MESSAGES]
        rows = (_make_cells(example, axes, is_flat=is_flat) for example in read_examples(path, axes))
        pieces = _print_csv(header, rows) if to == "csv" else _print_parquet(header, rows)
    return _join(pieces)


def _is_flat(example: Example) -> bool:
    """Whether a row of prompt, response and emotion can hold the example."""
    *before, reply = example.turns
    is_single = [turn.role for turn in before] in (["user"], ["system", "user"])
    is_plain = not any(turn.spans for turn in example.turns) and not any(any(turn.emotion) for turn in before)
    return is_single and is_plain and reply.is_target


def _make_cells(example: Example, axes: Axes, *, is_flat: bool) -> Cells:
    if not is_flat:
        messages = json.loads(print_example(example, axes))[MESSAGES]
        return [json.dumps(messages, ensure_ascii=False)]
    *before, reply = example.turns
    system = _print_text(before[0], axes) if len(before) > 1 else None
    texts = [system, _print_text(before[-1], axes), _print_text(reply, axes)]
    return [*texts, *_print_emotion(reply.emotion)]


def _print_text(turn: Turn, axes: Axes) -> str:
    return print_tagged(turn.content, turn.spans, axes)


def _print_emotion(emotion: EmotionVector) -> list[float | None]:
    return [value or None for value in emotion]


def _print_array(examples: Iterable[Example], axes: Axes) -> Iterator[bytes]:
    separator = "[\n"
    for example in examples:
        yield f"{separator}{print_example(example, axes)}".encode()
        separator = ",\n"
    yield b"\n]\n"


def _print_csv(header: list[str], rows: Iterable[Cells]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for cells in rows:
        writer.writerow(cells)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _print_parquet(header: list[str], rows: Iterable[Cells]) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = {SYSTEM, PROMPT, RESPONSE, MESSAGES}
    schema = pa.schema([(name, pa.string() if name in texts else pa.float64()) for name in header])
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in _batches(rows):
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*batch, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            yield sink.take()
    yield sink.take()


def _batches(rows: Iterable[Cells]) -> Iterator[list[Cells]]:
    batch: list[Cells] = []
    characters = 0
    for cells in rows:
        batch.append(cells)
        characters += sum(len(cell) for cell in cells if isinstance(cell, str))
        if len(batch) == _PARQUET_ROWS or characters >= _PARQUET_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._count = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._count

    def write(self, piece: "ReadableBuffer", /) -> int:
        data = bytes(piece)
        self._pending += data
        self._count += len(data)
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        return taken


def _join(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces into larger ones, as each costs the sender a switch of threads."""
    pending = bytearray()
    for piece in pieces:
        pending += piece
        if len(pending) >= _PIECE_BYTES:
            yield bytes(pending)
            pending.clear()
    if pending:
        yield bytes(pending)
