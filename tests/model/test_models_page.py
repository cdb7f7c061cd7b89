"""docs/models.md lists the base models that the tests train; tests/unit/test_models_page.py looks at its templates."""

import re
from pathlib import Path

import pytest

from tests.model.model.test_model_shapes import MIXING
from tests.model.model_shapes import SHAPES

pytestmark = pytest.mark.model

PAGE = Path(__file__).resolve().parents[2] / "docs/models.md"
# The base model of all other tests in this folder.
TINY_GEMMA = "gemma3"


def read_rows() -> dict[str, list[str]]:
    """The cells of each row, by the name of its test."""
    table = PAGE.read_text().partition("| kind | as published | test |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    return {row[2].strip("`"): row for row in rows}


def test_the_page_has_a_row_for_each_kind_that_is_trained_and_no_others() -> None:
    assert sorted(read_rows()) == sorted([TINY_GEMMA, *SHAPES])


def test_the_page_says_which_kinds_are_not_packed() -> None:
    assert {name for name, row in read_rows().items() if "packing" in row[3]} == MIXING
    assert {name for name, row in read_rows().items() if re.match("not packed", row[6])} == MIXING
