"""docs/data-format.md is true: its examples pass, and its codes are those of the source."""

import re
from pathlib import Path
from typing import get_args

from emomodel.data.dataset_report import WarningCode
from emomodel.data.examples import parse_example
from emomodel.data.problems import ProblemCode
from emomodel.data.validation import MAX_LINE_BYTES, MAX_LINES, MAX_PROBLEMS
from emomodel.emotions import DEFAULT_AXES

PAGE = (Path(__file__).parents[4] / "docs" / "data-format.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def codes_under(heading: str) -> list[str]:
    section = PAGE.split(f"### {heading}\n")[1].split("\n#")[0]
    return re.findall(r"^\| `([a-z0-9_]+)` \|", section, re.MULTILINE)


def test_each_example_of_the_page_is_valid() -> None:
    assert len(EXAMPLES) >= 4
    for block in EXAMPLES:
        for number, line in enumerate(block.splitlines(), start=1):
            parse_example(line, number)


def test_the_three_places_for_an_emotion_mean_the_same() -> None:
    block = next(block for block in EXAMPLES if "You won!" in block)
    replies = [parse_example(line, 1).turns[1] for line in block.splitlines()]
    assert len(replies) == 3
    assert {reply.content for reply in replies} == {"I can't stop laughing!"}
    assert {(reply.spans[0].emotion if reply.spans else reply.emotion) for reply in replies} == {
        DEFAULT_AXES.vector({"joy": 0.9})
    }


def test_the_example_of_the_backslash_reads_as_the_page_says() -> None:
    block = next(block for block in EXAMPLES if "How do I mark joy?" in block)
    turn = parse_example(block.splitlines()[1], 1).turns[1]
    assert (turn.content, turn.spans) == ("Write <emo joy> before the words and </emo> after them.", ())


def test_the_page_lists_every_code_and_no_other() -> None:
    assert codes_under("Problems") == list(get_args(ProblemCode))
    assert codes_under("Warnings") == list(get_args(WarningCode))


def test_the_page_lists_the_axes_in_their_order() -> None:
    rows = re.findall(r"^\| \d+ \| `(\w+)` \| `(\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert [row[0] for row in rows] == list(DEFAULT_AXES)
    assert [pole for row in rows for pole in row[1:]] == DEFAULT_AXES.poles


def test_the_page_gives_the_limits_of_the_source() -> None:
    assert MAX_LINE_BYTES == 1 << 20
    assert f"1 MiB and a file {MAX_LINES:,} lines" in PAGE
    assert f"The first {MAX_PROBLEMS} problems are listed" in PAGE
