"""docs/models.md lists the chat templates that the tests use."""

import re
from pathlib import Path

from tests.support.chat_templates import CHAT_KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs/models.md"


def test_the_page_lists_the_templates_that_are_tested() -> None:
    table = PAGE.read_text().partition("| template of |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == list(CHAT_KINDS)
    refused = {row[0] for row in rows if row[1].startswith("refused")}
    assert refused == {name for name, kind in CHAT_KINDS.items() if not kind.takes_system}
