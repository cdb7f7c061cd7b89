"""What README and docs say about the code is true."""

import re
from pathlib import Path

import pytest

from jobs.queue.reasons import WaitCode
from jobs.runs.failure_codes import CODES
from scripts import make_errors_doc
from scripts.make_configuration_doc import PAGE, render
from scripts.make_readme_tree import README
from scripts.make_readme_tree import render as render_tree
from scripts.operator_advice import API_ERRORS, FAILURES, WAITS

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_shows_the_tree_as_it_is() -> None:
    readme = README.read_text()
    assert "-> jobs -> emomodel" in readme
    assert readme == render_tree(readme), "run python scripts/make_readme_tree.py"


def test_every_setting_and_every_hyperparameter_is_documented_as_it_is() -> None:
    assert PAGE.read_text() == render(), "run python scripts/make_configuration_doc.py"


def test_every_code_of_a_failed_job_is_documented_as_it_is() -> None:
    assert make_errors_doc.PAGE.read_text() == make_errors_doc.render(), "run python -m scripts.make_errors_doc"
    assert CODES.keys() >= make_errors_doc.CRASH_CODES


def test_every_code_has_its_advice_for_operators_and_no_advice_is_left_over() -> None:
    advice = "scripts/operator_advice.py: give an operator's advice, or None where only the caller can fix it"
    assert FAILURES.keys() == CODES.keys(), advice
    assert API_ERRORS.keys() == make_errors_doc.list_api_errors().keys(), advice
    assert WAITS.keys() == {str(code) for code in WaitCode}, advice


def test_the_lock_carries_exact_versions_and_no_address() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert lines
    assert [line for line in lines if "==" not in line or "://" in line] == []


def test_the_dashboards_lock_carries_no_address_either() -> None:
    lock = (ROOT / "dashboard" / "package-lock.json").read_text()
    assert '"integrity": "sha512-' in lock
    assert "://" not in lock, "run python -m scripts.lock_dashboard"


def test_every_decision_record_is_complete() -> None:
    headings = ("## Context", "## Decision", "## Consequences", "## Alternatives")
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = page.read_text()
        assert [heading for heading in headings if heading not in text] == [], page.name


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/command-line.md", "docs/dashboard.md"])
def test_the_targets_that_a_page_names_are_there(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"(?:^|`|sudo )make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE)
    assert [each for each in targets if not re.search(rf"^{each}:", makefile, re.MULTILINE)] == []


def test_contributing_names_each_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help", "secrets"}
    named = set(re.findall(r"`make ([a-z-]+)`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert targets - named == set()
