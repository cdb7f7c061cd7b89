"""docs/architecture.md is true: its table of stops has every word of the code, its picture is the README's."""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import emomodel.protocol
from api.main import create_app
from jobs.settings import Settings
from jobs.status import RunCause, StopKind
from worker.runs.supervisor import StopReason

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
COLUMNS = (
    "what happens",
    "API verb",
    "on the row",
    "worker's reason",
    "message",
    "exit code",
    "the run's outcome, cause",
    "events",
)


def read_stops() -> dict[str, str]:
    """The cells of each column of the table of stops, joined."""
    section = PAGE.partition("## The words of a stop\n")[2].partition("\n## ")[0]
    rows = [re.split(r" ?\| ?", line.strip("|")) for line in section.splitlines() if line.startswith("|")]
    head, _, *body = [[cell.strip() for cell in row] for row in rows]
    assert tuple(head) == COLUMNS
    assert {len(row) for row in body} == {len(head)}
    return {name: "\n".join(row[place] for row in body) for place, name in enumerate(head)}


def list_words(cells: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cells))


def list_protocol_words(form: str) -> dict[str, object]:
    """The constants of emomodel.protocol whose names have this form."""
    modules = [
        importlib.import_module(f"emomodel.protocol.{each.name}")
        for each in pkgutil.iter_modules(emomodel.protocol.__path__)
    ]
    return {name: value for module in modules for name, value in vars(module).items() if re.fullmatch(form, name)}


def test_each_verb_of_a_job_is_named() -> None:
    paths = create_app(Settings()).openapi()["paths"]
    verbs = {
        match[1] for path in paths if (match := re.fullmatch(r"/jobs/\{job_id\}/(\w+)", path)) and "post" in paths[path]
    }
    assert list_words(read_stops()["API verb"]) == verbs


def test_each_stop_on_the_row_is_named() -> None:
    assert {str(kind) for kind in StopKind} <= list_words(read_stops()["on the row"])


def test_each_reason_of_the_worker_is_named_in_its_order() -> None:
    assert list_words(read_stops()["worker's reason"]) == set(StopReason.__members__)
    assert ", ".join(f"`{reason.name}`" for reason in StopReason) in PAGE
    assert ", then ".join(f"`{kind}`" for kind in StopKind) in PAGE


def test_each_message_to_the_training_process_is_named() -> None:
    messages = set(list_protocol_words("[A-Z_]+_REQUEST").values())
    assert {"stop", "save_and_stop", "checkpoint"} <= messages
    assert messages <= list_words(read_stops()["message"])


def test_each_exit_code_is_named_with_its_number() -> None:
    codes = list_protocol_words("EXIT_[A-Z_]+")
    assert len(codes) >= 4
    cells = read_stops()["exit code"]
    assert [f"`{name}` ({value})" for name, value in codes.items() if f"`{name}` ({value})" not in cells] == []
    assert {word for word in list_words(cells) if word.startswith("EXIT_")} == codes.keys()


def test_each_cause_of_a_run_is_named() -> None:
    assert list_words(read_stops()["the run's outcome, cause"]) >= {str(cause) for cause in RunCause}


def test_each_event_of_the_table_is_one_of_the_code() -> None:
    sources = [*(ROOT / "jobs").rglob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    events = list_words(read_stops()["events"])
    assert [event for event in events if f'"{event}"' not in text] == []


def test_the_picture_is_the_one_of_the_readme() -> None:
    picture = PAGE.partition("```\n")[2].partition("```")[0]
    assert "trainer" in picture
    assert picture in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "SECURITY.md", "README.md", "docs/architecture.md", "docs/glossary.md"]
)
def test_each_path_that_a_page_names_is_there(page: str) -> None:
    tops = "api|benchmarks|cli|dashboard|deploy|docs|emomodel|jobs|migrations|samples|scripts|tests|worker"
    # What is built is not in the repository.
    paths = set(re.findall(rf"`((?:{tops})/[\w./-]*)`", (ROOT / page).read_text())) - {"api/static/"}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
