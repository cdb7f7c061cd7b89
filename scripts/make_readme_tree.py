"""Writes the README's tree of rooms: a room's line is the first sentence of its `__init__.py`. A test checks it.

python scripts/make_readme_tree.py
"""

import ast
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
# The packages whose rooms the tree shows.
PACKAGES = ("cli/", "api/", "worker/", "jobs/", "emomodel/")
BLOCK = re.compile(r"(?<=<!-- tree -->\n```\n).*?(?=```\n)", re.DOTALL)
NAME_WIDTH = 18
LINE_WIDTH = 120

# Each line of the top level in the order of the tree: the entries that share the line, and what they are.
TOP_LEVEL: dict[tuple[str, ...], str] = {
    ("cli/",): "The `emotune` command: starts the processes, calls the API, checks an installation",
    ("api/",): "The web process: HTTP in, JSON and the dashboard out",
    ("worker/",): "The GPU host's process: takes a job and supervises one run of it",
    ("jobs/",): "The job domain that web and worker share: rows, rules, files, live metrics",
    ("emomodel/",): "The model, alone: what the owner of a bundle imports",
    ("dashboard/",): "The web pages: TypeScript sources, built into api/static/",
    ("migrations/",): "Alembic's environment and the versions of the schema",
    ("samples/",): "The sample dataset",
    ("tests/",): "Unit, model, integration, browser, gpu, chaos and stack tests; support/ has what they share",
    ("benchmarks/",): "Programs that print measurements, side by side with a baseline",
    ("scripts/",): "What the Makefile calls, and what writes the generated pages",
    ("deploy/",): "Settings of Valkey, the TLS proxy, Prometheus and Grafana",
    ("docs/",): "The pages below; decisions/ has the reasons",
    ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"): "What everybody should read",
    ("Makefile", ".ci/", ".gitignore"): "`make help` lists the targets; .ci/run is what a clean clone has to pass",
    ("docker-compose.yml", ".env.example", "Dockerfile", "Dockerfile.gpu", ".dockerignore"): "Installing on a GPU box",
    ("pyproject.toml", "MANIFEST.in", "constraints.txt", "constraints-gpu.txt"): "Packages, contracts, exact versions",
}


class TreeIncomplete(Exception):
    """The tree can't be written: something in it has no description. The message says what to add where."""


def main() -> None:
    """Write the tree into the README; ends with a message and exit code 1 where a description is missing."""
    try:
        README.write_text(render(README.read_text()))
    except TreeIncomplete as error:
        sys.exit(f"make_readme_tree: {error}")


def render(readme: str, root: Path = ROOT) -> str:
    """Return the text of a README with its tree as the tracked files of `root` are now. Raises TreeIncomplete."""
    tracked = list_tracked(root)
    present = {path.partition("/")[0] + ("/" if "/" in path else "") for path in tracked}
    described = {name for names in TOP_LEVEL for name in names}
    if unknown := sorted(present - described):
        raise TreeIncomplete(
            f"{', '.join(unknown)}: tracked by git, and without a description in the README's tree. "
            "Add one to TOP_LEVEL in scripts/make_readme_tree.py, where it belongs in the order, or untrack the file."
        )
    lines: list[str] = []
    for names, description in TOP_LEVEL.items():
        shown = [name for name in names if name in present]
        if shown:
            lines.append(_line(", ".join(shown), description))
        for package in set(shown).intersection(PACKAGES):
            lines += [
                _line(f"  {room}/", _summarise(root, f"{package}{room}")) for room in _list_rooms(package, tracked)
            ]
    return BLOCK.sub(lambda _: "\n".join(lines) + "\n", readme)


def list_tracked(root: Path = ROOT) -> list[str]:
    """Return the files in git's index that exist, as paths below `root`. A file that was not added is left out."""
    out = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout
    return [path for path in out.splitlines() if (root / path).exists()]


def _list_rooms(package: str, tracked: Sequence[str]) -> list[str]:
    """Return the folders below a package that hold Python modules, as paths below it."""
    modules = [path.removeprefix(package) for path in tracked if path.startswith(package) and path.endswith(".py")]
    return sorted({str(PurePosixPath(module).parent) for module in modules if "/" in module})


def _summarise(root: Path, room: str) -> str:
    """Return the first sentence of a room's docstring, without its full stop. Raises TreeIncomplete."""
    path = root / room / "__init__.py"
    text = (ast.get_docstring(ast.parse(path.read_text())) if path.exists() else None) or ""
    if not text:
        raise TreeIncomplete(f"{room}/__init__.py needs a docstring of one line: what the room holds.")
    return re.split(r"\.(?:\s|$)", text.partition("\n\n")[0].replace("\n", " "), maxsplit=1)[0]


def _line(name: str, description: str) -> str:
    line = f"{name:<{NAME_WIDTH}}  {description}"
    return line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 4].rsplit(" ", 1)[0] + " ..."


if __name__ == "__main__":
    main()
