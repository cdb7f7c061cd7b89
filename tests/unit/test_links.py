"""Every link between the pages leads to a file and a heading that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$")


def read_prose(page: Path) -> Iterator[str]:
    """Yield the lines outside of code blocks."""
    is_code = False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield line


def list_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of headings.

    They have lower case, no punctuation, a hyphen for each space, and a number where a heading is repeated.
    """
    found: set[str] = set()
    for line in read_prose(page):
        heading = HEADING.match(line)
        if heading is None:
            continue
        slug = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
        count = sum(1 for anchor in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", anchor))
        found.add(f"{slug}-{count}" if count else slug)
    return found


def list_dead_links(page: Path) -> list[str]:
    dead = []
    for link in LINK.findall("\n".join(read_prose(page))):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in list_anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list_dead_links(page) == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two`, three\n## Twice\n## Twice\n```\n# no heading\n[no](link)\n```\n")
    assert list_anchors(page) == {"one-two-three", "twice", "twice-1"}
    page.write_text(
        page.read_text() + "[a](#twice-1) [b](#no-heading) [c](gone.md) [d](page.md#twice) [e](https://x)\n"
    )
    assert list_dead_links(page) == ["#no-heading", "gone.md"]
