"""broken_files.toml: each broken file gets the report that the table gives, and every code occurs in it."""

import codecs
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from emomodel.data.formats.codes import FORMAT_CODES
from emomodel.data.problems import Problem, ProblemCode
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import EmotionError

FILES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("broken_files.toml").read_text(encoding="utf-8"))[
    "file"
]


def unescape(text: str) -> bytes:
    r"""Return the bytes of a file that is written with `\xNN`, `\t` and `\\`."""
    return codecs.decode(text, "unicode_escape").encode("latin-1")


def describe(problem: Problem) -> str:
    return f"{problem.line}:{problem.column or '-'} {problem.code} {problem.field or '-'}"


@pytest.mark.parametrize("file", [pytest.param(file, id=file["name"]) for file in FILES])
def test_a_broken_file_gets_the_report_of_the_table(file: dict[str, Any]) -> None:
    validator = DatasetValidator(**file.get("limits", {}))
    validator.feed(unescape(file["content"]))
    report = validator.finish()
    assert [describe(problem) for problem in report.problems] == file["problems"]
    assert all(problem.message and problem.fix.endswith((".", "?")) for problem in report.problems)


def test_the_table_is_long_and_holds_every_code() -> None:
    assert len(FILES) >= 60
    assert len({file["name"] for file in FILES}) == len(FILES)
    found = {problem.split()[1] for file in FILES for problem in file["problems"]}
    # The codes of formats other than JSON Lines have tests of their own.
    assert found == set(get_args(ProblemCode)) - FORMAT_CODES
    assert {error.code for error in EmotionError.__subclasses__()} <= set(get_args(ProblemCode))
