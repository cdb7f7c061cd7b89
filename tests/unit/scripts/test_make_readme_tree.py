"""The README's tree: rooms with their docstrings, from what git tracks, and a message where something is missing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import make_readme_tree
from scripts.make_readme_tree import TreeIncomplete, list_tracked, render

README = "# title\n<!-- tree -->\n```\nold\n```\nrest\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small repository in which all files are tracked."""
    files = {
        "README.md": README,
        "Makefile": "",
        "jobs/__init__.py": "",
        "jobs/status.py": '"""Not a room."""\n',
        "jobs/queue/__init__.py": '"""Whose turn it is: the order. And more."""\n',
        "jobs/queue/turns.py": "",
        "jobs/queue/inner/__init__.py": '"""A room inside\nof a room.\n\nMore of it.\n"""\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for command in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def read_tree(root: Path) -> list[list[str]]:
    """Return the name and the description of each line of the tree that is written for `root`."""
    head, _, rest = render(README, root).partition("```\n")
    tree, _, tail = rest.partition("```\n")
    assert (head, tail) == ("# title\n<!-- tree -->\n", "rest\n")
    return [line.split(maxsplit=1) for line in tree.splitlines()]


def test_the_tree_shows_rooms_and_no_modules(root: Path) -> None:
    lines = read_tree(root)
    assert [name for name, _ in lines] == ["jobs/", "queue/", "queue/inner/", "README.md", "Makefile"]
    assert lines[1][1] == "Whose turn it is: the order"
    assert lines[2][1] == "A room inside of a room"


def test_a_file_that_git_does_not_track_changes_nothing(root: Path) -> None:
    before = read_tree(root)
    (root / "notes.txt").touch()
    (root / "jobs" / "scratch").mkdir()
    (root / "jobs" / "scratch" / "try.py").touch()
    assert read_tree(root) == before
    assert "notes.txt" not in list_tracked(root)


def test_a_tracked_file_that_was_deleted_is_left_out(root: Path) -> None:
    (root / "Makefile").unlink()
    assert "Makefile" not in [name for name, _ in read_tree(root)]


def test_a_tracked_entry_without_a_description_is_named_with_what_to_do(root: Path) -> None:
    (root / "notes.txt").touch()
    subprocess.run(["git", "add", "notes.txt"], cwd=root, check=True)
    with pytest.raises(TreeIncomplete, match=r"^notes\.txt: .* TOP_LEVEL in scripts/make_readme_tree\.py"):
        render(README, root)


def test_a_room_without_a_docstring_is_named(root: Path) -> None:
    (root / "jobs" / "queue" / "__init__.py").write_text("")
    with pytest.raises(TreeIncomplete, match=r"^jobs/queue/__init__\.py needs a docstring"):
        render(README, root)


def test_the_command_ends_with_the_message(root: Path) -> None:
    script = root / "scripts" / "make_readme_tree.py"
    script.parent.mkdir()
    shutil.copy(make_readme_tree.__file__, script)
    command = [sys.executable, str(script)]
    subprocess.run(command, cwd=root, check=True)
    assert "Whose turn it is" in (root / "README.md").read_text()
    (root / "notes.txt").touch()
    subprocess.run(["git", "add", "notes.txt"], cwd=root, check=True)
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("make_readme_tree: notes.txt: tracked by git")
