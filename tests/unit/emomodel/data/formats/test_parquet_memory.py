"""Parquet files that would take much memory: refused before they are decoded, or read a few rows at a time."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emomodel.data.formats import codes
from emomodel.data.formats.exporting import export
from emomodel.data.formats.parquet_pages import read_pages
from emomodel.data.formats.parquet_rows import RowTracker, read_levels
from emomodel.emotions import DEFAULT_AXES
from tests.unit.emomodel.data.formats.test_records import check, list_problems, make_chat, make_parquet, read

MIB = 1 << 20
# This is much less than the size of the decoded files.
MAX_GROWTH = 100 * MIB
# Prints the growth of the peak memory in bytes, the number of examples, the counts of problems, and the first problem.
MEASURE = """
import json, sys
from pathlib import Path
from emomodel.emotions import DEFAULT_AXES
from emomodel.data.formats.records import read_records
from emomodel.data.formats.source import Limits
from emomodel.data.formats.checking import check_records
from emomodel.data.formats.records import make_row_reader
from emomodel.data.validation import DatasetValidator

def check(path):
    records = read_records(Path(path), make_row_reader(None, DEFAULT_AXES), Limits())
    return check_records(records, DatasetValidator(), lambda _: None, max_bytes=1 << 40)

def find_peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

check(sys.argv[1])
before = find_peak()
report = check(sys.argv[2])
first = [problem.model_dump() for problem in report.problems[:1]]
print(json.dumps([find_peak() - before, report.example_count, report.problem_counts, first]))
"""


def measure(path: Path, content: bytes) -> tuple[int, int, dict[str, int], list[dict[str, Any]]]:
    """Check a file in a separate process.

    Returns the memory in bytes that the file takes beside the libraries, the number of examples, the counts of problems
    by code, and the first problem.
    """
    small = path.with_name("small")
    small.write_bytes(make_parquet({"prompt": ["a"], "response": ["b"]}))
    path.write_bytes(content)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, small, path], capture_output=True, text=True, check=True, timeout=120
    )
    growth, example_count, counts, first = json.loads(run.stdout)
    return growth, example_count, counts, first


def write_parquet(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **{"compression": "zstd"} | options)
    return sink.getvalue()


def repeat(text: str, count: int) -> pa.Array:
    """Return an array that holds the text once in a dictionary, and `count` indices."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array([text]))


def make_lists(items: pa.Array, length: int) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(range(0, len(items) + 1, length), pa.int32()), items)


def make_chats(count: int, content: str) -> pa.Array:
    """Return `count` chats of two messages, which all have this content."""
    roles = pa.array(["user", "assistant"] * count)
    return make_lists(pa.StructArray.from_arrays([roles, repeat(content, 2 * count)], ["role", "content"]), 2)


@pytest.mark.parametrize(
    ("make", "column", "words"),
    [
        (lambda: write_parquet({"prompt": ["a"], "response": ["x" * (256 * MIB)]}), "response", "(1 row)"),
        (
            lambda: write_parquet({"prompt": ["a"], "response": ["x" * (256 * MIB)]}, compression="snappy"),
            "response",
            "(1 row)",
        ),
        (
            lambda: gzip.compress(write_parquet({"prompt": ["a"], "response": ["x" * (256 * MIB)]})),
            "response",
            "(1 row)",
        ),
        (
            lambda: write_parquet({"prompt": ["a"] * 500, "response": ["x" * MIB] * 500}, use_dictionary=False),
            "response",
            "(500 rows)",
        ),
        (lambda: write_parquet({"messages": make_lists(repeat("x" * MIB, 2000), 2000)}), "messages", "(1 row)"),
        (
            lambda: write_parquet({"messages": make_lists(pa.nulls(20_000_000, pa.string()), 20_000_000)}),
            "messages",
            "(1 row)",
        ),
        (
            lambda: write_parquet(
                {"messages": make_lists(pa.nulls(20_000_000, pa.bool_()), 20_000_000)}, data_page_version="2.0"
            ),
            "messages",
            "(1 row)",
        ),
    ],
    ids=["cell", "snappy", "gzip", "pages", "dictionary", "nulls", "version 2"],
)
def test_a_parquet_file_that_takes_much_memory_is_refused_before_it_is_decoded(
    path: Path, make: Callable[[], bytes], column: str, words: str
) -> None:
    content = make()
    growth, _, counts, (problem,) = measure(path, content)
    assert counts == {codes.PARQUET_TOO_LARGE: 1}
    assert (problem["line"], problem["field"]) == (1, column)
    assert f"row group 1 {words} takes too much memory" in problem["message"]
    assert growth < MAX_GROWTH, (len(content), growth)


@pytest.mark.parametrize(
    ("make", "counts", "example_count"),
    [
        (lambda: write_parquet({"messages": make_chats(300, "x" * (MIB // 4))}), {}, 300),
        (
            lambda: write_parquet({"prompt": ["a"] * 200, "response": [b"x" * (MIB // 2)] * 200}, write_batch_size=1),
            {},
            200,
        ),
        (
            lambda: write_parquet(
                {"prompt": ["a"] * 200, "response": ["x" * (MIB // 8)] * 200},
                use_dictionary=False,
                column_encoding={"response": "DELTA_BYTE_ARRAY"},
            ),
            {},
            200,
        ),
        (
            lambda: write_parquet(
                {"prompt": ["a"] * 200, "response": pa.array([b"x" * MIB] * 200, pa.binary(MIB))}, write_batch_size=1
            ),
            {"line_too_long": 200},
            0,
        ),
        (lambda: write_parquet({"prompt": ["a"] * 20, "response": ["x" * (20 * MIB)] * 20}), {"line_too_long": 20}, 0),
        (
            lambda: write_parquet({"prompt": ["a"] * 20_000, "response": [os.urandom(3000).hex()] * 20_000}),
            {},
            20_000,
        ),
        (
            lambda: write_parquet(
                {"prompt": ["a"] * 20_000, "response": [os.urandom(3000).hex() for _ in range(20_000)]}
            ),
            {},
            20_000,
        ),
    ],
    ids=["nested", "bytes", "prefixes", "fixed", "long cells", "repeated", "one row group"],
)
def test_rows_of_a_parquet_file_are_decoded_a_few_at_a_time(
    path: Path, make: Callable[[], bytes], counts: dict[str, int], example_count: int
) -> None:
    growth, found, found_counts, _ = measure(path, make())
    assert (found, found_counts) == (example_count, counts)
    assert growth < 2 * MAX_GROWTH


def test_a_parquet_row_that_is_too_long_is_reported_with_its_column_and_the_others_are_read(path: Path) -> None:
    content = write_parquet({"prompt": ["a", "b", "c"], "response": ["x", "y" * (20 * MIB), "z"]})
    report = check(path, content)
    (problem,) = report.problems
    assert (problem.line, problem.field, problem.code) == (2, "response", "line_too_long")
    assert problem.message == f"the row is longer than {MIB} bytes: the column 'response' alone has {20 * MIB + 1}"
    assert report.example_count == 2


def test_of_several_row_groups_the_one_that_is_too_large_is_named(path: Path) -> None:
    content = write_parquet({"prompt": ["a", "b"], "response": ["x", "y" * (100 * MIB)]}, row_group_size=1)
    report = check(path, content)
    (problem,) = report.problems
    assert (problem.line, report.example_count) == (2, 1)
    assert problem.message.startswith("row group 2 (1 row) takes too much memory to read: its column 'response'")
    assert problem.fix.startswith("Split the dialogue")


def test_a_parquet_file_whose_summary_is_too_large_is_refused(path: Path) -> None:
    # The length of the summary is at the very end of the file.
    summary = bytes(9 * MIB)
    content = b"PAR1" + summary + len(summary).to_bytes(4, "little") + b"PAR1"
    (problem,) = check(path, gzip.compress(content)).problems
    assert (problem.line, problem.code) == (1, codes.PARQUET_TOO_LARGE)
    assert "has 9 MiB, and may have 8 MiB" in problem.message
    path.write_bytes(b"PAR1" + bytes(20) + len(summary).to_bytes(4, "little") + b"PAR1")
    assert list_problems(path, path.read_bytes()) == [(1, codes.PARQUET_UNREADABLE)]


LENGTHS = st.lists(st.integers(0, 40) | st.sampled_from([1, 1, 1, 200]), min_size=1, max_size=80)


@given(LENGTHS, st.sampled_from(["1.0", "2.0"]), st.sampled_from(["none", "snappy", "zstd", "gzip", "lz4"]))
@example([1], "1.0", "snappy")
@example([5000], "2.0", "zstd")
def test_the_rows_of_a_nested_column_are_found_by_its_levels(
    lengths: list[int], version: str, compression: str
) -> None:
    rows: list[list[list[int]]] = [[[0, 1]] * (length // 2) + [[]] * (length % 2) for length in lengths]
    table = {"flat": [[0] * length for length in lengths], "deep": rows}
    options = {"data_page_version": version, "compression": compression, "data_page_size": 64, "write_batch_size": 8}
    content = io.BytesIO(write_parquet(table, **options))
    metadata = pq.ParquetFile(content).metadata
    # A list without values has one level too.
    longest = {
        "flat": max(1, *lengths),
        "deep": max(max(1, sum(max(1, len(inner)) for inner in row)) for row in rows),
    }
    for index, name in enumerate(table):
        column, level = metadata.row_group(0).column(index), metadata.schema.column(index).max_repetition_level
        start = column.dictionary_page_offset or column.data_page_offset
        tracker, starts = RowTracker(), 0
        for page in read_pages(content, start, start + column.total_compressed_size, column.num_values):
            if page.is_data:
                levels = read_levels(content, page, column.compression)
                assert levels is not None
                starts += tracker.add_page(levels, level, page.value_count)
        assert (starts, tracker.longest) == (len(lengths), longest[name])


def test_a_damaged_header_of_a_page_is_reported_with_its_column(path: Path) -> None:
    content = bytearray(write_parquet({"prompt": ["a"] * 9, "response": ["b"] * 9}))
    start = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(1).dictionary_page_offset
    for damage in (b"\xff" * 12, b"\x15\x00\x15\x01\x15\x01\x00"):
        content[start : start + len(damage)] = damage
        (problem,) = check(path, bytes(content)).problems
        assert problem.code == codes.PARQUET_UNREADABLE
        assert "column 'response': a page's header" in problem.message


def test_long_examples_are_written_so_that_they_can_be_read_again(path: Path) -> None:
    texts = [str(number) * (300_000 // len(str(number))) for number in range(100)]
    path.write_text("".join(json.dumps(make_chat("Hi", text)) + "\n" for text in texts))
    table = b"".join(export(path, DEFAULT_AXES, "parquet"))
    assert pq.ParquetFile(io.BytesIO(table)).metadata.num_row_groups > 2
    assert [chat["messages"][1]["content"] for _, chat in read(path, table)] == texts
