"""Checks a dataset while it arrives, in bounded memory whatever it contains.

validator = DatasetValidator(axes)
for chunk in upload:
    validator.feed(chunk)
report = validator.finish()      # report.ok, report.problems, report.warnings

The readers of other formats make one JSON object per record, and call `feed_record` in place of `feed`.
"""

from collections import Counter

from emomodel.data.dataset_report import DatasetReport
from emomodel.data.dataset_statistics import DatasetStatistics
from emomodel.data.examples import BLANK_BYTES, BYTE_ORDER_MARK
from emomodel.data.line_reader import LineReader
from emomodel.data.problems import Finding, Problem, problem_at
from emomodel.emotions import DEFAULT_AXES, Axes

MAX_LINE_BYTES = 1 << 20
MAX_LINES = 5_000_000
MAX_PROBLEMS = 100

# Files of other kinds that are not supported. Those that are, such as CSV and gzip, have been recognised by
# emomodel.data.formats.kinds before, and their records come through `feed_record`.
_UNSUPPORTED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}
_EXPECTED = 'Write one JSON object per line (JSON Lines, UTF-8), such as {"messages": [...]}.'


class DatasetValidator:
    """Reads a dataset in chunks, which may be split anywhere. `finish` returns the final report.

    A line over `max_line_bytes` is reported and skipped without being kept in memory. Lines after `max_lines` are only
    counted. All problems are counted, and at most `max_problems` listed.
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
        self._line_count = 0
        # The current line as problems name it: its number, or the place that the reader of another format gave.
        self._number = 0
        # The beginning of a line whose end has not arrived.
        self._pending = bytearray()
        # Whether the current line is already known to be too long.
        self._skipping = False
        # Whether no line has been checked yet, so that the next one may show what kind of file it is.
        self._at_start = True
        # Whether the rest of the file is only counted, after another format or too many lines.
        self._only_counting = False
        self._problems: list[Problem] = []
        self._problem_counts: Counter[str] = Counter()

    def feed(self, chunk: bytes) -> None:
        """Check the next bytes of the file."""
        first, *rest = chunk.split(b"\n")
        self._extend(first)
        if not rest:
            return
        self._end_line()
        last = rest.pop()
        self._take_lines(rest)
        self._extend(last)

    def feed_record(self, number: int, line: bytes) -> None:
        """Check one record that the reader of another format made; `number` is its line or row in the source file.

        `line` is one JSON object, as in a line of JSON Lines. Limits and counts are those of lines. The kind of file is
        not checked, as its reader has done so. A validator takes either chunks or records, never both.
        """
        self._line_count += 1
        self._number = number
        self._at_start = False
        self._check(line, len(line) > self._max_line_bytes)

    def finish(self) -> DatasetReport:
        """Return the report on everything that was fed."""
        if self._pending or self._skipping:
            self._end_line()
        if self._at_start:
            self._add(Finding("file_empty", "the file holds no example", _EXPECTED))
        statistics = self._statistics
        return DatasetReport(
            line_count=self._line_count,
            example_count=statistics.example_count,
            turn_count=statistics.turn_count,
            target_count=statistics.target_count,
            character_count=statistics.character_count,
            longest_character_count=statistics.longest_character_count,
            problems=tuple(self._problems),
            problem_count=self._problem_counts.total(),
            problem_counts=dict(sorted(self._problem_counts.items())),
            warnings=statistics.warnings(),
            ignored_keys=dict(sorted(self._reader.ignored.counts.items())),
            emotions=statistics.coverage(),
        )

    def _extend(self, part: bytes) -> None:
        """Add to the current line, unless it becomes too long."""
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

    def _take_lines(self, lines: list[bytes]) -> None:
        """Check complete lines. In a good file nearly all are plain, and the fast path is enough."""
        read, add, max_line_bytes = self._reader.read_plain, self._statistics.add, self._max_line_bytes
        is_checking = not self._at_start and not self._only_counting
        is_easy = is_checking and self._line_count + len(lines) <= self._max_lines
        for line in lines:
            is_short = len(line) <= max_line_bytes
            turns = read(line) if is_easy and is_short else None
            if turns is None:
                self._take(line, not is_short)
            else:
                self._line_count += 1
                add(self._line_count, line, turns)

    def _take(self, line: bytes, too_long: bool) -> None:
        """Check the next line, or the beginning of one that is too long."""
        self._line_count += 1
        self._number = self._line_count
        if self._only_counting:
            return
        if self._number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line.strip(BLANK_BYTES) and not too_long:
            return
        if self._at_start:
            self._at_start = False
            unsupported = _find_unsupported(line)
            if unsupported is not None:
                self._stop(unsupported)
                return
        self._check(line, too_long)

    def _check(self, line: bytes, too_long: bool) -> None:
        if self._only_counting:
            return
        if self._line_count > self._max_lines:
            message = f"the file has more than {self._max_lines} lines"
            self._stop(Finding("lines_too_many", message, "Split it into several datasets, or use a sample of it."))
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
        """Add a finding after which the rest of the file is only counted."""
        self._add(finding)
        self._only_counting = True

    def _add(self, finding: Finding) -> None:
        self._problem_counts[finding.code] += 1
        if len(self._problems) < self._max_problems:
            self._problems.append(problem_at(max(self._number, 1), finding))


def _find_unsupported(first_line: bytes) -> Finding | None:
    """Recognise a file that is not JSON Lines by its first line: one problem is then clearer than one per line."""
    kind = next((kind for mark, kind in _UNSUPPORTED.items() if first_line.startswith(mark)), None)
    if first_line.strip(BLANK_BYTES) == b"{":
        kind = "an object spread over several lines"
    return None if kind is None else Finding("format_not_jsonl", f"the file looks like {kind}", _EXPECTED)
