"""docs/operations.md says what can be wrong: each check of the doctor, and each reason why a slot is blocked."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
REASON_FUNCTIONS = {
    "worker/slot/readiness.py": {"_find_full_disk", "_find_used_memory"},
    "worker/beacon.py": {"_describe_refusal"},
    "worker/slot/gpu.py": {"_ask"},
}


def read_text(node: ast.expr) -> str:
    """A string as far as it is known beforehand: three dots stand for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.JoinedStr), ast.dump(node)
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)


def read_functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


def read_names(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """The variables of a function that are set once, also two at a time."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            (target,) = node.targets
            pairs = (
                zip(target.elts, node.value.elts, strict=True)
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                else [(target, node.value)]
            )
            found |= {name.id: value for name, value in pairs if isinstance(name, ast.Name)}
    return found


def list_doctor_checks() -> set[str]:
    """What `warn` and `fail` are called with: the names of all checks that may find something."""
    found = set()
    for path in (ROOT / "cli" / "doctor").glob("*.py"):
        for function in read_functions(path):
            names = read_names(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"warn", "fail"}:
                    check = node.args[0]
                    if isinstance(check, ast.Name):
                        check = names[check.id]
                    found.add(" ".join(read_text(check).replace("...", "").split()))
    return found


def list_block_reasons() -> set[str]:
    """The longest part of each sentence, between what is filled in: it is known by that."""
    found = set()
    for name, wanted in REASON_FUNCTIONS.items():
        functions = {function.name: function for function in read_functions(ROOT / name)}
        for function in wanted:
            texts = [
                read_text(node)
                for node in ast.walk(functions[function])
                if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.FormattedValue) for part in node.values)
            ]
            found |= {max(re.split(r"\.\.\.|[.:]", text), key=len).strip() for text in texts}
    return found


def test_the_source_is_read_rightly() -> None:
    assert {"base model", "slot", "workers", "redis memory", "api key"} <= list_doctor_checks()
    assert len(list_block_reasons()) == 6


@pytest.mark.parametrize("check", sorted(list_doctor_checks()))
def test_what_the_doctor_finds_is_explained(check: str) -> None:
    section = PAGE.split("### What the doctor finds")[1]
    assert f"| `{check}` |" in section, "docs/operations.md, What the doctor finds, has no row for it"


@pytest.mark.parametrize("reason", sorted(list_block_reasons()))
def test_why_a_slot_is_blocked_is_explained(reason: str) -> None:
    section = PAGE.split("## What blocks a slot")[1].split("\n## ")[0]
    assert reason in section, "docs/operations.md, What blocks a slot, has no row for it"
