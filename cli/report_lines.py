"""A dataset's report as a terminal shows it: problems as compilers print them, then warnings, then what it holds."""

from collections.abc import Iterator

from emomodel.data.dataset_report import DatasetReport, DatasetWarning
from emomodel.data.problems import Problem

BAR_WIDTH = 24


def describe_report(name: str, report: DatasetReport) -> Iterator[str]:
    """Yield the report's lines; `name` is the file's name as it was given."""
    for problem in report.problems:
        yield from _describe_problem(name, problem)
    if report.problem_count > len(report.problems):
        yield f"... and {report.problem_count - len(report.problems):,} more problems. By code:"
        yield from (f"{count:>11,}  {code}" for code, count in report.problem_counts.items())
    for warning in report.warnings:
        yield _describe_warning(name, warning)
    for key, count in report.ignored_keys.items():
        yield f"{name}: ignored: the key {key}, {_count(count, 'time')}"
    if report.example_count:
        yield from _describe_coverage(report)
    verdict = "valid" if report.ok else f"refused: {_count(report.problem_count, 'problem')}"
    yield (
        f"{name}: {verdict}. {_count(report.line_count, 'line')}, {_count(report.example_count, 'example')}, "
        f"{_count(report.turn_count, 'message')}, {_count(report.target_count, 'reply', 'replies')} to learn, "
        f"{_count(report.character_count, 'character')}"
    )


def _describe_problem(name: str, problem: Problem) -> Iterator[str]:
    column = "" if problem.column is None else f":{problem.column}"
    field = "" if problem.field is None else f" ({problem.field})"
    yield f"{name}:{problem.line}{column}: {problem.code}: {problem.message}{field}"
    yield f"    {problem.fix}"


def _describe_warning(name: str, warning: DatasetWarning) -> str:
    lines = f" (lines {', '.join(map(str, warning.lines))}{', ...' if warning.count > len(warning.lines) else ''})"
    return f"{name}: warning: {warning.code}: {warning.message}{lines if warning.lines else ''}. {warning.advice}"


def _describe_coverage(report: DatasetReport) -> Iterator[str]:
    """Yield a table of the poles: segments, their mean intensity, and a bar in proportion to their number."""
    emotions = report.emotions
    most = max([emotions.neutral_count, *(part.segment_count for part in emotions.poles.values()), 1])
    yield f"{'emotion':16} {'segments':>10} {'intensity':>10}"
    yield f"{'(neutral)':16} {emotions.neutral_count:>10,} {'':>10}  {_bar(emotions.neutral_count, most)}".rstrip()
    for pole, part in emotions.poles.items():
        intensity = f"{part.mean_intensity:.2f}" if part.segment_count else "-"
        yield f"{pole:16} {part.segment_count:>10,} {intensity:>10}  {_bar(part.segment_count, most)}".rstrip()


def _bar(count: int, most: int) -> str:
    return "#" * -(-count * BAR_WIDTH // most)


def _count(count: int, noun: str, plural: str = "") -> str:
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
