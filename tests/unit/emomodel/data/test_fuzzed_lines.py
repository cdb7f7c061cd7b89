"""100,000 broken lines: no crash, and each problem names its own line."""

from collections import Counter
from random import Random

from emomodel.data.examples import BLANK_BYTES
from emomodel.data.line_reader import LineReader
from emomodel.data.validation import DatasetValidator
from emomodel.emotions import DEFAULT_AXES
from tests.unit.emomodel.data.mutations import ROOT, mutate

LINE_COUNT = 100_000
SEED = 4711


def test_a_hundred_thousand_broken_lines_are_each_reported_at_their_place() -> None:
    random = Random(SEED)  # noqa: S311  # the same lines each time, no secret
    page = (ROOT / "docs" / "data-format.md").read_bytes().splitlines()
    samples = (ROOT / "samples" / "chats.jsonl").read_bytes().splitlines()
    good = samples + 20 * [line for line in page if line.startswith(b'{"')]
    # The first line shows what the file is, so it is not changed.
    lines = [good[0], *(mutate(random.choice(good), random) for _ in range(LINE_COUNT))]

    reader = LineReader(DEFAULT_AXES)
    expected = []
    for number, line in enumerate(lines, start=1):
        if line.strip(BLANK_BYTES):
            expected += [(number, finding.column, finding.code) for finding in reader.read_exactly(line)[1]]

    validator = DatasetValidator(max_problems=10 * LINE_COUNT)
    data = b"\n".join(lines)
    position = 0
    while position < len(data):
        step = random.choice((1, 100, 10_000, 1_000_000))
        validator.feed(data[position : position + step])
        position += step
    report = validator.finish()

    assert report.line_count == len(lines)
    assert [(problem.line, problem.column, problem.code) for problem in report.problems] == expected
    assert report.problem_counts == dict(sorted(Counter(code for _, _, code in expected).items()))
    assert report.ignored_keys == dict(sorted(reader.ignored.counts.items()))
    # The mutations are of use: they break most lines, in most ways, and leave some whole.
    assert len({number for number, _, _ in expected}) + report.example_count > 0.9 * LINE_COUNT
    assert report.example_count > 0.1 * LINE_COUNT
    assert len(report.problem_counts) > 25
