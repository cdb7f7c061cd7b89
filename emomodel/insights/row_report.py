"""The row report: each example's loss after a training, as a Parquet file. It shows mislabelled and unusual rows."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Enough of a line for people to recognise it.
MAX_TEXT_CHARACTERS = 500
_MAX_TEXT_BYTES = 4 * MAX_TEXT_CHARACTERS


@dataclass(frozen=True)
class ReportRow:
    """One example: its line in the dataset, and nats per target token under its own emotion and under none."""

    line: int
    held_out: bool
    target_count: int
    loss: float
    neutral_loss: float


def write_row_report(path: Path, rows: Iterable[ReportRow]) -> None:
    """Write `rows` in order to a Parquet file, atomically. Raises OSError."""
    # Imported here because pyarrow loads numpy and takes a moment, and few users of this module need it.
    import pyarrow as pa
    from pyarrow import parquet

    partial = path.with_name(f".{path.name}.partial")
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=_make_schema())
    parquet.write_table(table, partial, compression="zstd")
    partial.replace(path)


def read_worst(path: Path, limit: int) -> list[ReportRow]:
    """The `limit` rows with the highest loss under their own emotion, the highest first."""
    from pyarrow import compute, parquet

    table = parquet.read_table(path, schema=_make_schema())
    order = compute.select_k_unstable(table, k=min(limit, table.num_rows), sort_keys=[("loss", "descending")])
    return [ReportRow(**row) for row in table.take(order).to_pylist()]


def read_texts(path: Path, lines: Iterable[int]) -> dict[int, str]:
    """The beginnings of the given lines, counted from 1, of a JSON Lines file. Raises OSError."""
    wanted = set(lines)
    last = max(wanted, default=0)
    texts: dict[int, str] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number in wanted:
                text = line[:_MAX_TEXT_BYTES].decode("utf-8", "ignore").rstrip("\n")
                texts[number] = text[:MAX_TEXT_CHARACTERS]
            if number >= last:
                break
    return texts


def _make_schema() -> Any:
    import pyarrow as pa

    kinds = {
        "line": pa.int64(),
        "held_out": pa.bool_(),
        "target_count": pa.int64(),
        "loss": pa.float64(),
        "neutral_loss": pa.float64(),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()])
