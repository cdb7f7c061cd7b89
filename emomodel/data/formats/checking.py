"""Checks a file in any supported format: writes its records as JSON Lines and makes one report on all of them."""

from collections import Counter
from collections.abc import Callable, Iterable

from emomodel.data.dataset_report import DatasetReport
from emomodel.data.formats.records import Record
from emomodel.data.formats.source import SourceTooLarge
from emomodel.data.problems import Finding, Problem, problem_at
from emomodel.data.validation import MAX_PROBLEMS, DatasetValidator


def check_records(
    records: Iterable[Record],
    validator: DatasetValidator,
    write: Callable[[bytes], object],
    *,
    max_bytes: int,
    max_problems: int = MAX_PROBLEMS,
) -> DatasetReport:
    """Pass each record to `write` as a line, and report on all of them with their places in the source.

    What was written is a dataset only if the report is ok. Raises SourceTooLarge if it would exceed `max_bytes`.
    """
    problems: list[Problem] = []
    counts: Counter[str] = Counter()
    written_bytes = 0
    for place, content in records:
        if isinstance(content, Finding):
            counts[content.code] += 1
            if len(problems) < max_problems:
                problems.append(problem_at(place, content))
            continue
        validator.feed_record(place, content)
        written_bytes += len(content) + 1
        if written_bytes > max_bytes:
            raise SourceTooLarge(f"the file has more than {max_bytes} bytes as JSON Lines; split it")
        write(content + b"\n")
    report = validator.finish()
    return _with_problems(report, problems, counts, max_problems) if counts else report


def _with_problems(
    report: DatasetReport, problems: list[Problem], counts: Counter[str], max_problems: int
) -> DatasetReport:
    """Add the problems that kept records from being made. A file that could not be read at all is not called empty."""
    others = [problem for problem in report.problems if problem.code != "file_empty"]
    all_counts = counts + Counter(
        {code: count for code, count in report.problem_counts.items() if code != "file_empty"}
    )
    merged = sorted([*others, *problems], key=lambda problem: problem.line)
    return report.model_copy(
        update={
            "problems": tuple(merged[:max_problems]),
            "problem_count": all_counts.total(),
            "problem_counts": dict(sorted(all_counts.items())),
        }
    )
