"""The table of benchmarks.training_proof in Markdown, made from its file of results."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.training_rows import ROWS, RUNS, Row

HEADER = (
    "how",
    "ms an update",
    "real tokens/s",
    "peak GiB",
    "first step, s: cold",
    "warm",
    "complete process, s: cold",
    "warm",
    "last loss",
    "largest difference from the original project's losses",
)
NOT_MEASURED = "-"
# The lines of a page between which the table stands; the first one names the file of results.
BEGIN, END = "<!-- table of {} -->", "<!-- end of the table -->"

Runs = dict[str, dict[str, Any]]


def render(document: dict[str, Any]) -> str:
    """The table of what was measured, one row for each training, as Markdown."""
    lines = [HEADER, ("---",) * len(HEADER)]
    lines += [make_line(row, document["rows"]) for row in ROWS if row.name in document["rows"]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def make_line(row: Row, rows: dict[str, Runs]) -> tuple[str, ...]:
    runs = {name: rows[row.name].get(name, {}) for name in RUNS}
    losses = find_losses(runs)
    return (
        row.title,
        list_runs(runs, "step_ms", str),
        list_runs(runs, "tokens_per_second", lambda value: f"{value:,}"),
        list_runs(runs, "peak_gib", str),
        *(list_runs({name: run}, "first_step_seconds", str) for name, run in runs.items()),
        *(list_runs({name: run}, "process_seconds", str) for name, run in runs.items()),
        f"{losses[-1][-1]:.4f}" if losses else NOT_MEASURED,
        describe_difference(row, rows),
    )


def list_runs(runs: Runs, key: str, write: Callable[[Any], str]) -> str:
    """The values of the runs that succeeded, without repeating one."""
    values = [run.get(key) for run in runs.values() if "error" not in run]
    return ", ".join(dict.fromkeys(write(value) for value in values if value is not None)) or NOT_MEASURED


def find_losses(runs: Runs) -> list[list[float]]:
    return [run["losses"] for run in runs.values() if "losses" in run]


def describe_difference(row: Row, rows: dict[str, Runs]) -> str:
    """The largest difference at any update; for the original project's script itself, that between its two runs."""
    own = find_losses(rows[row.name])
    references = find_losses(rows.get(row.compared_with or "", {}))
    if row.compared_with == row.name:
        return f"{measure_difference(own[1], own[0]):.3%} between its two runs" if len(own) > 1 else NOT_MEASURED
    if not own or not references:
        return NOT_MEASURED
    return f"{max(measure_difference(losses, references[0]) for losses in own):.3%}"


def measure_difference(losses: list[float], reference: list[float]) -> float:
    """The largest difference at any update, as a fraction of the reference's loss. Both have the same updates."""
    return max(abs(own - theirs) / theirs for own, theirs in zip(losses, reference, strict=True))


def replace_table(page: Path, results: Path) -> None:
    """Put the table of `results` into `page`, between the two lines that name it. Exits when the page lacks them."""
    begin = BEGIN.format(results.as_posix())
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        sys.exit(f"put these two lines into {page}, where the table belongs:\n{begin}\n{END}")
    table = render(json.loads(results.read_text()))
    page.write_text(f"{before}{begin}\n{table}\n{closed}{after}")
