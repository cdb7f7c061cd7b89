"""Example: one dialogue of a dataset, parsed from one line of JSON.

DatasetValidator in emomodel/data/validation.py checks whole files in the same way while they arrive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emomodel.data.drafts import Role, Span
from emomodel.data.line_reader import LineReader
from emomodel.data.problems import ExampleInvalid, LinesInvalid, problem_at
from emomodel.emotions import DEFAULT_AXES, Axes, EmotionVector

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The bytes that JSON treats as blank.
BLANK_BYTES = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn, without tags. `emotion` applies outside the spans, which are in order and don't overlap."""

    role: Role
    content: str
    emotion: EmotionVector
    spans: tuple[Span, ...] = ()
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """One dialogue of a dataset; `line` counts from 1."""

    line: int
    turns: tuple[Turn, ...]


def parse_example(line: bytes | str, number: int, axes: Axes = DEFAULT_AXES) -> Example:
    """Parse the example on one line. Raises ExampleInvalid, which holds all problems of the line."""
    data = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    turns, findings = LineReader(axes).read(data)
    if findings:
        problems = tuple(problem_at(number, finding) for finding in findings)
        raise ExampleInvalid("; ".join(map(str, problems)), problems)
    return Example(number, tuple(Turn(*turn) for turn in turns))


def read_examples(path: Path, axes: Axes = DEFAULT_AXES) -> Iterator[Example]:
    """Read the examples of a file in order, skipping blank lines. Raises LinesInvalid at the first invalid line."""
    reader = LineReader(axes)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            data = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if not data.strip(BLANK_BYTES):
                continue
            turns, findings = reader.read(data)
            if findings:
                problem = problem_at(number, findings[0])
                raise LinesInvalid(f"{path.name}, {problem}", (problem,))
            yield Example(number, tuple(Turn(*turn) for turn in turns))
