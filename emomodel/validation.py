"""Checks a dataset while it arrives, in bounded memory whatever arrives. [light]

validator = DatasetValidator(axes)
for chunk in upload:
    validator.feed(chunk)
report = validator.finish()      # report.ok, report.problems, report.warnings
"""

import re
from collections import Counter

from emomodel.dataset_report import DatasetReport
from emomodel.dataset_statistics import DatasetStatistics
from emomodel.emotions import DEFAULT_AXES, Axes
from emomodel.examples import BLANK_BYTES, BYTE_ORDER_MARK
from emomodel.line_reader import LineReader
from emomodel.problems import Finding, Problem, problem_at

MAX_LINE_BYTES = 1 << 20
MAX_LINES = 5_000_000
MAX_PROBLEMS = 100

# The beginning of a file is enough to tell what it is.
_SNIFFED_BYTES = 4096
_BINARY_BEGINNINGS = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_CSV_COLUMNS = {b"prompt", b"response", b"messages"}
_CSV_SEPARATORS = re.compile(rb"[,;\t]")
_EXPECTED = 'One JSON object a line is expected (JSON Lines, UTF-8), such as {"messages": [...]}.'


class DatasetValidator:
    """Reads a dataset in chunks, split anywhere. After `finish`, the report is final.

    A line over `max_line_bytes` is reported and skipped without being held; lines after `max_lines` are only counted;
    at most `max_problems` problems are listed, all are counted.
    """

    def __init__(
        self,
        axes: Axes = DEFAULT_AXES,
        *,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_lines: int = MAX_LINES,
        max_problems: int = MAX_PROBLEMS,
    ) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_lines = max_lines
        self._max_problems = max_problems
        self._reader = LineReader(axes)
        self._statistics = DatasetStatistics(axes)
        self._number = 0
        # The beginning of a line whose end has not arrived.
        self._pending = bytearray()
        # Whether the line under way is already known to be too long.
        self._skipping = False
        # Whether no line was checked yet, so that the next one may show what the file is.
        self._at_start = True
        # Whether the rest of the file is of no use: another format, or too many lines.
        self._only_counting = False
        self._problems: list[Problem] = []
        self._problem_counts: Counter[str] = Counter()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        first, *rest = chunk.split(b"\n")
        self._extend(first)
        if not rest:
            return
        self._end_line()
        last = rest.pop()
        for line in rest:
            self._take(line, len(line) > self._max_line_bytes)
        self._extend(last)

    def finish(self) -> DatasetReport:
        """The report on all that was fed."""
        if self._pending or self._skipping:
            self._end_line()
        if self._at_start:
            self._add(Finding("file_empty", "the file holds no example", _EXPECTED))
        statistics = self._statistics
        return DatasetReport(
            line_count=self._number,
            example_count=statistics.example_count,
            turn_count=statistics.turn_count,
            target_count=statistics.target_count,
            character_count=statistics.character_count,
            longest_character_count=statistics.longest_character_count,
            problems=tuple(self._problems),
            problem_count=self._problem_counts.total(),
            problem_counts=dict(sorted(self._problem_counts.items())),
            warnings=statistics.warnings(),
            ignored_keys=dict(sorted(self._reader.ignored_keys.items())),
            emotions=statistics.coverage(),
        )

    def _extend(self, part: bytes) -> None:
        """Add to the line under way, unless it grows too long."""
        if self._skipping:
            return
        room = self._max_line_bytes - len(self._pending)
        self._pending += part[:room]
        if len(part) > room:
            self._skipping = True

    def _end_line(self) -> None:
        line, too_long = bytes(self._pending), self._skipping
        self._pending.clear()
        self._skipping = False
        self._take(line, too_long)

    def _take(self, line: bytes, too_long: bool) -> None:
        """Check the next line, or the beginning of one that is too long."""
        self._number += 1
        if self._only_counting:
            return
        if self._number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line.strip(BLANK_BYTES) and not too_long:
            return
        if self._at_start:
            self._at_start = False
            other_format = _find_other_format(line[: min(_SNIFFED_BYTES, self._max_line_bytes)])
            if other_format is not None:
                self._stop(other_format)
                return
        if self._number > self._max_lines:
            message = f"the file has more than {self._max_lines} lines"
            self._stop(Finding("lines_too_many", message, "Split it into several datasets, or take a sample of it."))
        elif too_long:
            message = f"the line is longer than {self._max_line_bytes} bytes"
            self._add(Finding("line_too_long", message, "Split the dialogue into several examples."))
        else:
            self._read(line)

    def _read(self, line: bytes) -> None:
        turns, findings = self._reader.read(line)
        if not findings:
            self._statistics.add(self._number, line, turns)
        for finding in findings:
            self._add(finding)

    def _stop(self, finding: Finding) -> None:
        """What follows in the file is of no use: it is only counted."""
        self._add(finding)
        self._only_counting = True

    def _add(self, finding: Finding) -> None:
        self._problem_counts[finding.code] += 1
        if len(self._problems) < self._max_problems:
            self._problems.append(problem_at(max(self._number, 1), finding))


def _find_other_format(beginning: bytes) -> Finding | None:
    """What the first line shows, when it is no JSON Lines: one problem then says more than one for every line."""
    text = beginning.strip(BLANK_BYTES)
    fields = [field.strip(b' "').lower() for field in _CSV_SEPARATORS.split(text)]
    binary = [name for mark, name in _BINARY_BEGINNINGS.items() if beginning.startswith(mark)]
    if binary:
        kind = binary[0]
    elif text.startswith(b"["):
        kind = "a JSON array"
    elif text == b"{":
        kind = "an object spread over several lines"
    elif _CSV_COLUMNS.intersection(fields):
        kind = "CSV"
    else:
        return None
    return Finding("format_not_jsonl", f"the file looks like {kind}", _EXPECTED)
