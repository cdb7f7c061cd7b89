"""Every format becomes the same records, each with its place; unreadable content is reported with place and reason."""

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emomodel.data.dataset_report import DatasetReport
from emomodel.data.formats import codes, csv_file
from emomodel.data.formats.checking import check_records
from emomodel.data.formats.exporting import export
from emomodel.data.formats.json_array import split_array
from emomodel.data.formats.parquet_pages import read_pages
from emomodel.data.formats.parquet_rows import RowTracker, read_levels
from emomodel.data.formats.records import make_row_reader, open_records, read_records
from emomodel.data.formats.source import Limits, SourceTooLarge
from emomodel.data.problems import Finding, LinesInvalid
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import DEFAULT_AXES

CHAT = {"messages": [{"role": "user", "content": "Hi, ]}"}, {"role": "assistant", "content": 'He said: "No."\nWell.'}]}
LINE = json.dumps(CHAT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    # The format is recognised by the content, not by the name.
    return tmp_path / "chats.txt"


def read(path: Path, content: bytes, **limits: int) -> list[tuple[int, Any]]:
    path.write_bytes(content)
    return [(place, json.loads(line)) for place, line in open_records(path, limits=Limits(**limits))]


def check(path: Path, content: bytes) -> DatasetReport:
    path.write_bytes(content)
    records = read_records(path, make_row_reader(None, DEFAULT_AXES), Limits())
    return check_records(records, DatasetValidator(DEFAULT_AXES), lambda _: None, max_bytes=1 << 30)


def list_problems(path: Path, content: bytes) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in check(path, content).problems]


def make_parquet(columns: dict[str, list[object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def compress_zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def make_chat(prompt: str, response: str, **emotion: float) -> dict[str, object]:
    reply: dict[str, object] = {"role": "assistant", "content": response}
    return {"messages": [{"role": "user", "content": prompt}, reply | ({"emotion": emotion} if emotion else {})]}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, compress_zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("content", "place"),
    [
        (f"\ufeff\n{LINE}\r\n".encode(), 2),
        (f"\ufeff [\n{LINE}]\n".encode(), 1),
        (json.dumps([CHAT], indent=2).encode(), 1),
        (b'prompt,response\n"Hi, ]}","He said: ""No.""\nWell."\n', 2),
        (b'\xef\xbb\xbf"Prompt";Response\r\nHi, ]};"He said: ""No.""\nWell."\r\n', 2),
        (b'response\tprompt\n"He said: ""No.""\nWell."\t"Hi, ]}"\n', 2),
        (make_parquet({"prompt": ["Hi, ]}"], "response": ['He said: "No."\nWell.']}), 1),
        (make_parquet({"messages": [CHAT["messages"]]}), 1),
        (make_parquet({"messages": [json.dumps(CHAT["messages"])]}), 1),
    ],
    ids=["lines", "array", "indented", "csv", "semicolons", "tabs", "parquet", "parquet lists", "parquet json"],
)
def test_each_format_is_recognised_by_its_content(path: Path, content: bytes, place: int, compress: Any) -> None:
    assert read(path, compress(content)) == [(place, CHAT)]


@pytest.mark.parametrize(
    ("content", "example_count", "problems"),
    [
        (f"[{LINE}]".encode(), 1, []),
        (f"[\n  {LINE},\n  {LINE}\n]\n".encode(), 2, []),
        (f"\n\n  [\n{LINE}".encode(), 0, [(1, "json_array_broken")]),
        (f"[{LINE}".encode() * 100, 0, [(1, "json_array_broken")]),
        (b"prompt,response\nHi,Hello\n", 1, []),
        (b"prompt\tresponse\nHi\tHello\n", 1, []),
        (b'\n\n"id";"Messages"\n1;2\n', 0, [(4, "example_not_object")]),
        (b'"id";"Messages"\n1;"[]"\n', 0, [(2, "messages_empty")]),
        (b"PAR1\x15\x04\x15", 0, [(1, "parquet_unreadable")]),
        (b"\x1f\x8b\x08\x00", 0, [(1, "compressed_damaged")]),
        (b"\x28\xb5\x2f\xfd\x00", 0, [(1, "compressed_damaged")]),
    ],
)
def test_files_of_supported_formats_are_read_whole_or_named(
    path: Path, content: bytes, example_count: int, problems: list[tuple[int, str]]
) -> None:
    report = check(path, content)
    assert report.example_count == example_count
    assert [(problem.line, problem.code) for problem in report.problems] == problems


def test_lines_are_read_without_the_libraries_of_other_formats() -> None:
    code = "import sys, emomodel.data.formats, emomodel.data.formats.exporting; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"pyarrow", "numpy", "torch"}.isdisjoint(run.stdout.split())


def test_emotion_columns_are_read_and_empty_ones_are_absent(path: Path) -> None:
    content = b"prompt,response,Joy,fear_courage\na,b,0.5,-.25\nc,d,,\n"
    assert read(path, content) == [(2, make_chat("a", "b", joy=0.5, fear_courage=-0.25)), (3, make_chat("c", "d"))]
    nan = float("nan")
    table = make_parquet({"prompt": ["a", "c"], "response": ["b", "d"], "joy": [0.5, nan], "fear": [None, None]})
    assert read(path, table) == [(1, make_chat("a", "b", joy=0.5)), (2, make_chat("c", "d"))]


def test_rows_may_have_a_system_message_and_keys_that_the_report_counts(path: Path) -> None:
    content = b"system,prompt,response,id\nBe brief.,a,b,7\n,c,d,8\n"
    (_, first), (_, second) = read(path, content)
    assert first["messages"][0] == {"role": "system", "content": "Be brief."}
    assert len(second["messages"]) == 2
    assert check(path, content).ignored_keys == {"id": 2}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("content", [b"", b"\n" * 1000, b"\xef\xbb\xbf \r\n\t"])
def test_a_table_that_ends_before_its_header_is_reported(content: bytes) -> None:
    stream: Any = io.BufferedReader(io.BytesIO(content))
    ((place, finding),) = csv_file.read_rows(stream, make_row_reader(None, DEFAULT_AXES), 100)
    assert isinstance(finding, Finding)
    assert (place, finding.code, finding.message) == (1, "file_empty", "the file ends before its header")


def test_a_broken_header_is_reported(path: Path) -> None:
    assert list_problems(path, b"prompt,response\ra,b\rc,d\r") == [(1, codes.CSV_ROW_BROKEN)]


def test_rows_are_named_by_the_line_where_they_begin(path: Path) -> None:
    content = b'prompt,response\n"a\n\n\nb",c\n\nd,\ne,f,g\n"h"i,j\nk,l\n'
    assert list_problems(path, content) == [
        (7, "content_missing"),
        (8, codes.CSV_ROW_BROKEN),
        (9, codes.CSV_ROW_BROKEN),
    ]


def test_a_quote_without_end_is_reported_where_its_row_begins(path: Path) -> None:
    content = b'prompt,response\na,b\nc,"d\n' + b"e,f\n" * 300_000
    assert list_problems(path, content) == [(3, "line_too_long")]


def test_values_that_are_no_numbers_are_reported_as_in_json(path: Path) -> None:
    assert list_problems(path, b'prompt,response,joy\na,b,"0,5"\nc,d,2\n') == [
        (2, "emotion_not_a_number"),
        (3, "emotion_out_of_range"),
    ]


@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        ("prompt,reply", codes.COLUMNS_MISSING, "the column 'response' is missing (there: 'prompt', 'reply')"),
        ("prompt,response,Prompt", codes.COLUMN_TWICE, "the column 'prompt' occurs twice"),
    ],
)
def test_wrong_columns_are_reported_once(path: Path, header: str, code: str, words: str) -> None:
    report = check(path, f"{header}\na,b,c\n".encode())
    assert [(problem.line, problem.code, problem.message) for problem in report.problems] == [(1, code, words)]


def test_bytes_that_are_no_text_are_reported_with_their_row(path: Path) -> None:
    assert list_problems(path, b"prompt,response\na,b\nc,\xff\n") == [(3, "not_utf8")]


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ("[]", [(1, "file_empty")]),
        (f"[{LINE}", [(1, codes.JSON_ARRAY_BROKEN)]),
        (f"[{LINE},]", [(2, codes.JSON_ARRAY_BROKEN)]),
        (f"[{LINE}] x", [(2, codes.JSON_ARRAY_BROKEN)]),
        (f"[{LINE}, 4, {LINE}]", [(2, "example_not_object")]),
        (f"[{LINE}, {{nonsense}}, {LINE}]", [(2, "json_invalid")]),
        ('[{"a": "\n"}]', [(1, "json_invalid")]),
        ('["', [(1, codes.JSON_ARRAY_BROKEN)]),
    ],
)
def test_broken_arrays_name_the_object(path: Path, content: str, problems: list[tuple[int, str]]) -> None:
    assert list_problems(path, content.encode()) == problems


def test_content_after_an_array_is_reported_however_the_file_is_cut() -> None:
    for content in (b"[] x", b"[]\n \n x"):
        found = list(split_array(cast("io.BufferedReader", SingleByteStream(content)), 1 << 20))
        assert [item.code for item in found if isinstance(item, Finding)] == [codes.JSON_ARRAY_BROKEN], content


def test_an_object_without_end_is_not_held(path: Path) -> None:
    path.write_bytes(b'[{"a": "' + b"x" * 5_000_000)
    records = list(read_records(path, make_row_reader(None, DEFAULT_AXES), Limits(max_line_bytes=1000)))
    assert [(place, content.code) for place, content in records if isinstance(content, Finding)] == [
        (1, "line_too_long")
    ]


def test_a_long_line_is_reported_and_the_next_one_read(path: Path) -> None:
    long_line = LINE.replace("Hi", "x" * (1 << 21))
    assert list_problems(path, gzip.compress(f"{long_line}\n{LINE}\nx\n".encode())) == [
        (1, "line_too_long"),
        (3, "json_invalid"),
    ]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class SingleByteStream(io.BytesIO):
    """Returns one byte at a time, however many were asked for."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(1)


class TornStream(io.BytesIO):
    """Returns a few bytes at a time, however many were asked for."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(self.tell() % 7 + 1)


@given(st.lists(json_values, min_size=1), st.sampled_from([None, 1]))
def test_an_array_is_split_into_what_it_was_made_of(values: list[object], indent: int | None) -> None:
    objects = [{"value": value} for value in values]
    stream: Any = TornStream(json.dumps(objects, indent=indent).encode())
    found = list(split_array(stream, 1 << 20))
    assert [json.loads(element) for element in found if isinstance(element, bytes)] == objects


@pytest.mark.parametrize("compress", [gzip.compress, compress_zstd])
def test_compressed_data_that_is_cut_is_reported_where_it_ends(path: Path, compress: Any) -> None:
    digests = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(20_000))
    lines = "".join(LINE.replace("Hi", digest) + "\n" for digest in digests)
    content = compress(lines.encode())
    ((place, code),) = list_problems(path, content[:-5])
    assert (place > 10_000, code) == (True, codes.COMPRESSED_DAMAGED)
    with pytest.raises(LinesInvalid, match="damaged"):
        list(read(path, content[:-5]))


def test_content_that_expands_beyond_the_limit_is_not_read(path: Path) -> None:
    for bomb in (gzip.compress(bytes(10_000_000)), compress_zstd(bytes(10_000_000))):
        with pytest.raises(SourceTooLarge):
            read(path, bomb, max_bytes=100_000)
    repeated = make_parquet({"prompt": [str(number) * 50 for number in range(5000)], "response": ["b"] * 5000})
    with pytest.raises(SourceTooLarge):
        read(path, repeated, max_bytes=10_000)


def test_a_damaged_parquet_file_is_reported(path: Path) -> None:
    whole = make_parquet({"prompt": [str(number) for number in range(5000)], "response": ["b"] * 5000})
    for content in (whole[:-20], whole[:4], whole[:50] + bytes(500) + whole[550:]):
        problems = list_problems(path, content)
        assert problems[-1][1] == codes.PARQUET_UNREADABLE, problems


def test_a_parquet_cell_that_is_no_text_is_reported_with_its_row(path: Path) -> None:
    content = make_parquet({"prompt": [1, None], "response": ["a", "b"]})
    assert list_problems(path, content) == [(1, "content_not_text"), (2, "content_missing")]


def test_texts_that_a_writer_left_as_bytes_and_decimal_numbers_are_read(path: Path) -> None:
    path.write_bytes(make_parquet({"prompt": ["Grüße".encode()], "response": [b"Hello."], "joy": [Decimal("0.5")]}))
    ((_, line),) = open_records(path)
    user, reply = json.loads(line)["messages"]
    assert (user["content"], reply) == ("Grüße", {"role": "assistant", "content": "Hello.", "emotion": {"joy": 0.5}})


def test_bytes_that_are_no_text_are_an_error(path: Path) -> None:
    path.write_bytes(make_parquet({"prompt": [b"a"], "response": [b"\xff"]}))
    with pytest.raises(LinesInvalid, match="not UTF-8"):
        list(open_records(path))


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
