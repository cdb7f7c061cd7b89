"""Writes the README's annotated tree: a module's line is the first sentence of its docstring. A test checks it.

python scripts/make_readme_tree.py
"""

import ast
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PACKAGES = ("cli", "api", "worker", "jobs", "emomodel")
BLOCK = re.compile(r"(?<=<!-- tree -->\n```\n).*?(?=```\n)", re.DOTALL)
NAME_WIDTH = 30
LINE_WIDTH = 118

TOP_LEVEL = {
    "cli/": "the `emotune` command: starts the others, talks to the API",
    "api/": "the web process: HTTP in, JSON and the dashboard out",
    "worker/": "the GPU host's process: takes a job, sees one run through",
    "jobs/": "the job domain both sides share: rows, rules, files, live metrics",
    "emomodel/": "the model, alone: what the owner of a bundle imports",
    "dashboard/": "the web pages: TypeScript sources, built into api/static/ (which git leaves alone)",
    "migrations/": "Alembic's environment and versions",
    "samples/": "the sample dataset",
    "tests/": "unit, model, integration, gpu, which mirror the source; chaos",
    "benchmarks/": "scripts that print ratios, side by side in one run",
    "scripts/": "what the Makefile calls, and what writes generated pages",
    "deploy/": "what the containers of others are told: Valkey, the TLS proxy",
    "docs/": "architecture, API, configuration, data format, decisions/",
    ".ci/": "what a clean clone has to pass",
    "Makefile": "`make help` lists the targets",
    "docker-compose.yml": "an installation on a GPU box (docs/operations.md)",
    "Dockerfile": "the image of API, housekeeping and migrations, without torch",
    "Dockerfile.gpu": "the image of a GPU slot's worker",
    ".env.example": "what docker-compose.yml has to be told",
    ".dockerignore": "what the images are not built from",
    "pyproject.toml": "packages, dependencies, and the settings of every tool",
    "MANIFEST.in": "what a source archive has beside the packages",
    "constraints.txt": "exact versions of all dependencies",
    "constraints-gpu.txt": "the same for the worker on a GPU, with Unsloth",
    "README.md": "this page",
    "CHANGELOG.md": "what changed for users",
    ".gitignore": "what git leaves alone",
}


def main() -> None:
    README.write_text(render(README.read_text()))


def render(readme: str) -> str:
    """The README with its tree as the files are now. Raises KeyError for a top-level entry without a description."""
    lines: list[str] = []
    tracked = list_tracked()
    present = {path.split("/")[0] + ("/" if "/" in path else "") for path in tracked}
    for name in sorted(present, key=list(TOP_LEVEL).index):
        lines.append(_line(name, TOP_LEVEL[name]))
        if name.rstrip("/") in PACKAGES:
            modules = sorted(path for path in tracked if path.startswith(name) and path.endswith(".py"))
            lines += [
                _line(f"  {path.removeprefix(name)}", _summarise(ROOT / path))
                for path in modules
                if not path.endswith("__init__.py")
            ]
    return BLOCK.sub(lambda _: "\n".join(lines) + "\n", readme)


def list_tracked() -> list[str]:
    """Files of the repository, those not yet added included."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    out = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in out.splitlines() if (ROOT / path).exists()]


def _summarise(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = re.split(r"(?<=[.:])\s", text.split("\n\n")[0].replace("\n", " "), maxsplit=1)[0]
    # A title that ends with a colon goes on behind it.
    whole = text.split("\n\n")[0].replace("\n", " ") if first.endswith(":") else first
    return re.split(r"\.\s", whole)[0].rstrip(".")


def _line(name: str, description: str) -> str:
    line = f"{name:<{NAME_WIDTH}} {description}"
    return line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 4].rsplit(" ", 1)[0] + " ..."


if __name__ == "__main__":
    main()
