"""Every format becomes the same records, each with its place; unreadable content is reported with place and reason."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomodel.data.dataset_report import DatasetReport
from emomodel.data.formats import codes, csv_file
from emomodel.data.formats.checking import check_records
from emomodel.data.formats.json_array import split_array
from emomodel.data.formats.records import make_row_reader, open_records, read_records
from emomodel.data.formats.source import Limits, SourceTooLarge
from emomodel.data.problems import Finding, LinesInvalid
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import DEFAULT_AXES

CHAT = {"messages": [{"role": "user", "content": "Hi, ]}"}, {"role": "assistant", "content": 'He said: "No."\nWell.'}]}
LINE = json.dumps(CHAT)


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
