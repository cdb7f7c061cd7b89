"""The commands of `emotune` that the pages and the advice name exist, with the options that are shown."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = typer.main.get_command(app)

# A path may precede the name; the words of commands come before anything else.
MENTION = re.compile(r"(?:^|[\s/])emotune((?: [a-z][a-z-]*)+)([^|#;()]*)")
SPAN = re.compile(r"`([^`\n]+)`")


def list_mentions(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the words after `emotune`, and the options on the same line, of code spans and code blocks."""
    block: str | None = None
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            block = line.strip("` ") if block is None else None
            continue
        # Other blocks hold answers and settings, which may contain sentences.
        whole = [line] if block in {"", "sh"} else []
        for code in SPAN.findall(line) if block is None else whole:
            for words, rest in MENTION.findall(code):
                yield words.split(), re.findall(r"(?<=\s)--[a-z][a-z-]*", rest)


def find_fault(words: list[str], options: list[str]) -> str | None:
    command = COMMANDS
    path = "emotune"
    while isinstance(command, TyperGroup) and words:
        word = words.pop(0)
        path = f"{path} {word}"
        found = command.commands.get(word)
        if found is None:
            return f"there is no `{path}`"
        command = found
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [option for option in options if option not in known | {"--help"}]
    return f"`{path}` has no {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_there(page: Path) -> None:
    faults = [find_fault(words, options) for words, options in list_mentions(page.read_text())]
    assert [fault for fault in faults if fault] == []


def test_commands_and_options_are_read() -> None:
    text = (
        "Do `emotune keys create --team reds --operator`.\n```\n.venv/bin/emotune submit x --watch  # and wait\n```\n"
    )
    found = list(list_mentions(text))
    assert found == [(["keys", "create"], ["--team", "--operator"]), (["submit", "x"], ["--watch"])]
    assert [find_fault(words, options) for words, options in found] == [None, None]
    assert find_fault(["keys", "make"], []) == "there is no `emotune keys make`"
    assert find_fault(["doctor"], ["--yaml"]) == "`emotune doctor` has no --yaml"
