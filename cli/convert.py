"""`emotune datasets convert`: converts a dataset from one format to another on this machine."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from cli.errors import CliError

if TYPE_CHECKING:
    from emomodel.data.formats.mapping import LabelMapping
    from emomodel.emotions import Axes

# How many problems are shown; the message has the number of all.
SHOWN_PROBLEMS = 20


def convert(
    source: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines, JSON array, CSV or Parquet.")
    ],
    target: Annotated[
        Path, typer.Argument(help="The file to write; its ending says the format: .jsonl, .json, .csv or .parquet.")
    ],
    mapping: Annotated[
        str | None, typer.Option(help="For texts with labels: `goemotions`, or a mapping as JSON, or @FILE with it.")
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="Own axes in place of the eight, such as COLD_WARM,SHY_BOLD.")
    ] = None,
) -> None:
    """Write a dataset in another format. A file with problems is refused, and the problems are shown."""
    from emomodel.data.formats.exporting import ExportFormat, export
    from emomodel.data.formats.mapping import MappingError, read_mapping
    from emomodel.emotions import DEFAULT_AXES, Axes

    to = target.suffix.removeprefix(".").lower()
    if to not in get_args(ExportFormat):
        raise CliError(f"{target.name} has to end in .{', .'.join(get_args(ExportFormat))}: the ending says the format")
    try:
        file_axes = DEFAULT_AXES if axes is None else Axes(tuple(name.strip() for name in axes.split(",")))
        label_mapping = None if mapping is None else read_mapping(_read_argument(mapping), file_axes)
    except MappingError as error:
        raise CliError(f"the mapping can't be used: {error}") from error
    except ValueError as error:
        raise CliError(f"the axes can't be used: {error}") from error
    with tempfile.TemporaryDirectory(dir=target.absolute().parent, prefix=".emotune-") as folder:
        lines, written = Path(folder) / "lines.jsonl", Path(folder) / target.name
        example_count = _make_lines(source, lines, file_axes, label_mapping)
        with written.open("wb") as stream:
            stream.writelines(export(lines, file_axes, cast("ExportFormat", to)))
        written.replace(target)
    print(f"{target}: {example_count} examples")


def _make_lines(source: Path, lines: Path, axes: "Axes", mapping: "LabelMapping | None") -> int:
    """Write `source` as JSON Lines; returns the number of examples. Raises CliError with the first problems."""
    from emomodel.data.formats.checking import check_records
    from emomodel.data.formats.records import make_row_reader, read_records
    from emomodel.data.formats.source import Limits
    from emomodel.data.validation import DatasetValidator

    limits = Limits(max_bytes=sys.maxsize)
    records = read_records(source, make_row_reader(mapping, axes), limits)
    with lines.open("wb") as stream:
        report = check_records(records, DatasetValidator(axes), stream.write, max_bytes=limits.max_bytes)
    if not report.ok:
        shown = [str(problem) for problem in report.problems[:SHOWN_PROBLEMS]]
        count = f"{report.problem_count} problem{'s' if report.problem_count > 1 else ''}"
        raise CliError("\n".join([f"{source} has {count}:", *shown]))
    return report.example_count


def _read_argument(text: str) -> str:
    """Return the text, or with a leading @ the content of the file that it names. Raises CliError."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"the mapping's file can't be read: {error}") from error
