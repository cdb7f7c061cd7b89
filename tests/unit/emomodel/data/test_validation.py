"""A dataset is checked while it arrives: the same result for any sizes of its pieces, and bounded memory."""

import json
import tracemalloc
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emomodel.data.dataset_report import DatasetReport, WarningCode
from emomodel.data.formats.codes import FORMAT_CODES
from emomodel.data.problems import Problem, ProblemCode
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import Axes, EmotionError
from tests.unit.emomodel.data.test_examples import BAD_LINES

GOOD = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Good morning, friend."}]}'
AXES = Axes(("COLD_WARM", "SLOW_FAST"))


def reply(content: str, user: str = "Hi", **keys: object) -> str:
    messages = [{"role": "user", "content": user}, {"role": "assistant", "content": content, **keys}]
    return json.dumps({"messages": messages})


def check(data: bytes | str, **limits: int) -> DatasetReport:
    validator = DatasetValidator(AXES, **limits)
    validator.feed(data.encode() if isinstance(data, str) else data)
    return validator.finish()


def only_problem(data: bytes | str, **limits: int) -> Problem:
    report = check(data, **limits)
    assert not report.ok
    assert len(report.problems) == report.problem_count == 1
    return report.problems[0]


def warning_codes(report: DatasetReport) -> list[str]:
    return [warning.code for warning in report.warnings]


def test_a_good_file_is_counted() -> None:
    lines = [
        reply("One, two and <emo warm=0.5>three</emo> and <emo cold_warm=1>four</emo>"),
        "",
        reply("Nothing special here.", user="<emo fast>Hello</emo>"),
        reply("Slowly, slowly, old friend.", emotion={"slow": 0.3}),
    ]
    report = check("\n".join(lines))
    assert report.ok
    assert (report.line_count, report.example_count, report.turn_count, report.target_count) == (4, 3, 6, 3)
    assert report.character_count == len(
        "HiOne, two and three and fourHelloNothing special here.HiSlowly, slowly, old friend."
    )
    assert (report.emotions.segment_count, report.emotions.neutral_count) == (6, 3)
    covered = {pole: (part.segment_count, part.mean_intensity) for pole, part in report.emotions.poles.items()}
    assert covered == {"cold": (0, 0.0), "warm": (2, 0.75), "slow": (1, 0.3), "fast": (0, 0.0)}
    assert warning_codes(report) == ["pole_unused", "pole_unused"]


def test_the_report_survives_json() -> None:
    report = check(f"{GOOD}\n{GOOD}\nnonsense\n")
    assert DatasetReport.model_validate_json(report.model_dump_json()) == report


FILE_PROBLEMS: list[tuple[ProblemCode, bytes | str, int]] = [
    ("file_empty", b"", 1),
    ("file_empty", b"\xef\xbb\xbf\n \r\n\t\n", 3),
    ("format_not_jsonl", json.dumps(json.loads(GOOD), indent=2), 1),
    ("format_not_jsonl", "\n\n  {\n" + GOOD, 3),
    ("format_not_jsonl", b"PK\x03\x04\n\n\x00", 1),
    ("format_not_jsonl", b"BZh91AY\n\x00", 1),
    ("format_not_jsonl", b"\xfd7zXZ\x00\n\x00", 1),
    ("format_not_jsonl", GOOD.encode("utf-16"), 1),
    ("lines_too_many", f"{GOOD}\n" * 6, 5),
    ("line_too_long", f"{GOOD}\n{reply('x' * 2000)}\n{GOOD}\n", 2),
    ("line_too_long", f"{GOOD}\n{reply('x' * 2000)}", 2),
]


@pytest.mark.parametrize(("code", "data", "line"), FILE_PROBLEMS)
def test_a_bad_file_gets_one_problem(code: str, data: bytes | str, line: int) -> None:
    problem = only_problem(data, max_line_bytes=1000, max_lines=4)
    assert (problem.code, problem.line) == (code, line)


def test_unsupported_formats_are_refused_with_a_message_of_their_own() -> None:
    assert only_problem("{\n" + GOOD).fix.startswith("Write one JSON object per line")
    assert only_problem(b"PK\x03\x04" * 1000, max_line_bytes=1000).message == "the file looks like a zip archive"


def test_every_code_has_a_test() -> None:
    # The codes of formats other than JSON Lines have tests of their own.
    codes = set(get_args(ProblemCode)) - FORMAT_CODES
    assert {code for code, _ in BAD_LINES} | {code for code, _, _ in FILE_PROBLEMS} == codes
    assert {error.code for error in EmotionError.__subclasses__()} <= codes


def test_a_line_of_just_the_limit_passes() -> None:
    assert check(f"{GOOD}\r\n{GOOD}", max_line_bytes=len(GOOD) + 1).ok
    assert only_problem(f"{GOOD}\n{GOOD} ", max_line_bytes=len(GOOD)).line == 2


def test_as_many_lines_as_the_limit_pass() -> None:
    assert check(f"{GOOD}\n" * 4 + "\n\n", max_lines=4).ok


def test_problems_are_listed_up_to_a_bound_and_all_counted() -> None:
    report = check("{}\n" * 30 + "[]\n" * 20, max_problems=10)
    assert [problem.line for problem in report.problems] == list(range(1, 11))
    assert report.problem_count == 50
    assert report.problem_counts == {"example_not_object": 20, "messages_missing": 30}
    assert report.example_count == 0


def test_ignored_keys_are_counted_by_name_up_to_a_bound() -> None:
    line = GOOD.replace('{"messages"', '{"id": 1, "messages"').replace('"user",', '"user", "name": "Bo",')
    assert check(f"{line}\n{line}\n").ignored_keys == {"id": 2, "messages[].name": 2}
    lines = [GOOD.replace("{", f'{{"key{index}": 0, ', 1) for index in range(300)]
    ignored = check("\n".join(lines)).ignored_keys
    assert len(ignored) == 101
    assert ignored["(others)"] == 200


def test_warnings_bring_lines_and_advice() -> None:
    report = check(f"{GOOD}\n{reply('Ok.')}\n{GOOD}\n{GOOD}\n")
    found = [(warning.code, warning.count, warning.lines) for warning in report.warnings]
    assert found == [("duplicate_line", 2, (3, 4)), ("short_reply", 1, (2,)), ("no_emotion", 4, ())]
    assert report.ok
    assert all(warning.advice for warning in report.warnings)


def test_axes_and_poles_that_never_occur_are_named() -> None:
    report = check(reply("It is rather warm in here.", emotion={"warm": 1}))
    assert [(warning.code, warning.message) for warning in report.warnings] == [
        ("pole_unused", "pole cold never occurs"),
        ("axis_unused", "axis SLOW_FAST never occurs"),
    ]


def test_every_warning_occurs_in_these_tests() -> None:
    everything = f"{GOOD}\n{GOOD}\n{reply('Ok.')}\n"
    codes = {*warning_codes(check(everything)), *warning_codes(check(reply("It is warm here.", emotion={"warm": 1})))}
    assert codes == set(get_args(WarningCode))


def test_records_of_other_formats_are_checked_like_lines_but_named_by_their_place() -> None:
    validator = DatasetValidator(AXES, max_line_bytes=1000, max_lines=5)
    records = [(2, GOOD), (9, "{}"), (9, GOOD), (12, reply("x" * 2000)), (13, "[1]"), (14, GOOD), (15, "{}")]
    for number, line in records:
        validator.feed_record(number, line.encode())
    report = validator.finish()
    found = [(problem.line, problem.code) for problem in report.problems]
    expected = [(9, "messages_missing"), (12, "line_too_long"), (13, "example_not_object"), (14, "lines_too_many")]
    assert found == expected
    assert (report.line_count, report.example_count) == (7, 2)


def test_a_file_of_no_records_is_empty() -> None:
    assert [problem.code for problem in DatasetValidator(AXES).finish().problems] == ["file_empty"]


FRAGMENTS = st.sampled_from(
    [
        *(
            GOOD.encode(),
            reply("\u00e9\u20ac <emo warm=0.5>\U0001f600!</emo> so long").encode(),
            b"\n",
            b"\r\n",
            b"{}",
            b"[",
        ),
        *(
            b"\xef\xbb\xbf",
            b"\xff",
            b'"',
            b" ",
            b"x" * 200,
            reply("ok <emo cold>").encode(),
            b"prompt,response",
        ),
    ]
)


@given(st.lists(FRAGMENTS, max_size=12).map(b"".join), st.lists(st.integers(0, 1500), max_size=8))
@example(f"[\n{GOOD}\n".encode(), [2])
@example(f"prompt,response\n{GOOD}\n{GOOD}\n".encode(), [16])
@example(f"{GOOD}\n".encode() * 9, [115 * 7])
def test_where_chunks_are_cut_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    whole = check(data, max_line_bytes=180, max_lines=6)
    validator = DatasetValidator(AXES, max_line_bytes=180, max_lines=6)
    position = 0
    for cut in sorted(cuts):
        validator.feed(data[position:cut])
        position = max(position, cut)
    validator.feed(data[position:])
    assert validator.finish() == whole


def test_byte_by_byte_is_the_same_too() -> None:
    tagged = reply("na\u00efve <emo warm>\U0001f600 yes</emo>")
    data = f"\ufeff{tagged}\r\n{GOOD}\nnonsense \u20ac\n".encode()
    validator = DatasetValidator(AXES)
    for index in range(len(data)):
        validator.feed(data[index : index + 1])
    assert validator.finish() == check(data)


def test_long_good_lines_leave_nothing_behind() -> None:
    validator = DatasetValidator(AXES)
    tracemalloc.start()
    try:
        for number in range(60):
            turns = json.loads(GOOD)["messages"] * (1000 + number)
            validator.feed(json.dumps({"messages": turns}).encode() + b"\n")
        del turns
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 1 << 20
    assert validator.finish().example_count == 60


@pytest.mark.parametrize(
    "chunk",
    [b"x" * 65536, b"\n" * 65536, b"{}\n" * 20000, b'{"messages": 1' + b" " * 65000, b"<emo>" * 13000],
    ids=["one endless line", "blank lines", "bad lines", "blanks in a line", "tags"],
)
def test_memory_stays_bounded(chunk: bytes) -> None:
    validator = DatasetValidator(max_line_bytes=1 << 16, max_lines=50_000)
    tracemalloc.start()
    try:
        for _ in range(40):
            validator.feed(chunk)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 * (1 << 20)
    assert not validator.finish().ok
