"""The comparison with the original project: its table, and that its script is independent of emotune."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.proof_table import BEGIN, END, HEADER, measure_difference, render, replace_table
from benchmarks.seed_reference import find_update_seconds
from benchmarks.training_proof import Bench, read_results
from benchmarks.training_rows import NAMES, ROWS

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def make_run(step_ms: float, losses: list[float], **more: Any) -> dict[str, Any]:
    measured = {"step_ms": step_ms, "tokens_per_second": 18_826, "peak_gib": 2.2, "first_step_seconds": 7.4}
    return measured | {"process_seconds": 32.3, "losses": losses} | more


DOCUMENT: dict[str, Any] = {
    "rows": {
        "ours": {"warm": make_run(25.4, [4.0, 2.02]), "cold": make_run(25.6, [4.0, 2.0], first_step_seconds=19.8)},
        "seed": {"cold": make_run(147.0, [4.0, 2.0]), "warm": make_run(148.0, [4.04, 2.0])},
        "plain": {"cold": {"process_seconds": 9.0, "error": "exit code 1"}},
        "ours-800": {"cold": make_run(353.0, [5.0, 3.0])},
    }
}


def read_rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_has_what_was_measured_in_the_order_of_the_rows() -> None:
    header, _, seed, plain, ours, large = read_rows(render(DOCUMENT))
    assert tuple(header) == HEADER
    assert seed[1:] == [
        "147.0, 148.0",
        "18,826",
        "2.2",
        "7.4",
        "7.4",
        "32.3",
        "32.3",
        "2.0000",
        "1.000% between its two runs",
    ]
    assert ours[1:] == ["25.6, 25.4", "18,826", "2.2", "19.8", "7.4", "32.3", "32.3", "2.0200", "1.000%"]
    # It failed.
    assert set(plain[1:]) == {"-"}
    # There is nothing to compare it with.
    assert large[-2:] == ["3.0000", "-"]


def test_each_row_is_compared_with_one_of_the_original_projects() -> None:
    seeds = {row.name for row in ROWS if row.seed}
    assert {row.compared_with for row in ROWS} == {"seed", "seed-16", None}
    assert {"seed", "seed-16"} <= seeds
    assert len(set(NAMES)) == len(ROWS)


def test_curves_of_different_lengths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="argument 2 is longer"):
        measure_difference([1.0], [1.0, 2.0])


def test_a_page_gets_the_table_between_its_two_lines_and_keeps_the_rest(tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    results.write_text(json.dumps(DOCUMENT))
    page.write_text(f"before\n{BEGIN.format(results)}\nan old table\n{END}\nafter\n")
    for _ in range(2):
        replace_table(page, results)
        assert page.read_text() == f"before\n{BEGIN.format(results)}\n{render(DOCUMENT)}\n{END}\nafter\n"


def test_a_page_without_these_lines_is_left_as_it_is(tmp_path: Path) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    results.write_text(json.dumps(DOCUMENT))
    page.write_text("no table\n")
    with pytest.raises(SystemExit, match="put these two lines"):
        replace_table(page, results)
    assert page.read_text() == "no table\n"


@pytest.mark.parametrize(
    ("elapsed", "seconds"),
    [
        ([20.0, 20.5], 0.5),
        # The first half doesn't count.
        ([20.0, 25.0, 26.0, 26.1, 26.2, 26.3, 26.4, 26.5], 0.1),
        # A number that is read late makes one update long and the next one short.
        ([index * 0.1 + (0.08 if index % 2 else 0.0) for index in range(60)], 0.1),
    ],
)
def test_the_time_of_an_update_is_that_of_the_last_half(elapsed: list[float], seconds: float) -> None:
    assert find_update_seconds(elapsed) == pytest.approx(seconds, rel=0.2)


def test_results_of_another_machine_are_not_added_to(tmp_path: Path) -> None:
    bench = Bench(tmp_path, tmp_path, 60, {"device": "cpu", "torch": "2.13.0"})
    path = tmp_path / "results.json"
    document = read_results(path, bench)
    assert document["rows"] == {}
    path.write_text(json.dumps(document))
    assert read_results(path, bench) == document
    with pytest.raises(SystemExit, match="made with another updates and torch"):
        read_results(path, Bench(tmp_path, tmp_path, 30, {"device": "cpu", "torch": "2.11.0"}))


def list_imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return named | {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}


def test_the_original_projects_script_uses_nothing_of_emotune() -> None:
    files = sorted(BENCHMARKS.glob("seed_*.py"))
    assert [path.stem for path in files] == ["seed_chats", "seed_reference", "seed_training"]
    own = {path.name for path in BENCHMARKS.parent.iterdir() if path.is_dir()}
    used = {name for path in files for name in list_imports(path) if name.partition(".")[0] in own}
    assert used == {"benchmarks.seed_chats", "benchmarks.seed_training"}


def test_the_page_has_the_table_of_its_file_of_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BENCHMARKS.parent)
    page = BENCHMARKS.parent / "docs/performance.md"
    copy = tmp_path / page.name
    copy.write_text(page.read_text())
    replace_table(copy, Path("benchmarks/results/training_proof_h200.json"))
    assert copy.read_text() == page.read_text()
