"""docs/seed.md is true: each verdict names tests that exist, and its table of the preset is the preset."""

import ast
import json
import re
from pathlib import Path

import pytest

from emomodel.config import PRESETS, TrainConfig, make_config

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "seed.md").read_text()
TEST_PATH = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
VERDICT = re.compile(r"\*(Kept|Corrected|Unnecessary|unnecessary)\*")


@pytest.mark.parametrize(("path", "name"), sorted(set(TEST_PATH.findall(PAGE))))
def test_every_test_that_the_page_names_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def test_every_hint_has_a_verdict_and_a_test() -> None:
    hints = re.findall(r"^- .*(?:\n  .*)*", PAGE, re.MULTILINE)
    assert len(hints) > 30
    assert [hint for hint in hints if not VERDICT.search(hint) or not TEST_PATH.search(hint)] == []
    assert PAGE.count("tests/") == len(TEST_PATH.findall(PAGE)), "a test is named in another form than path::name"


def test_the_table_of_the_original_is_the_preset_whole() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+?)` \| .+ \|$", PAGE, re.MULTILINE))
    shown = TrainConfig.model_validate({name: json.loads(value) for name, value in rows.items()})
    assert rows.keys() >= PRESETS["original"].keys()
    assert shown == make_config("original")
