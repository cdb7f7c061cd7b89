"""Every page of a staged installation: it opens, is accessible in both schemes, and fits a telephone."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext, Scheme, settle
from tests.browser.staged.server import StagedServer

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
TELEPHONE_WIDTH = 380
# Chromium's own bound for a good page.
MAX_LAYOUT_SHIFT = 0.1
GRAVE = ("serious", "critical")


@dataclass(frozen=True)
class PageCase:
    """A page: its address behind `#`, and how its heading reads."""

    name: str
    find_path: Callable[[StagedServer], str]
    heading: str
    is_operators: bool = False


def _of_job(name: str) -> Callable[[StagedServer], str]:
    return lambda server: f"/jobs/{server.staged.job_ids[name]}"


def _compare(server: StagedServer) -> str:
    names = ("calm support 1B", "calm support 1B, rank 16", "warm replies v3")
    return "/compare?jobs=" + ",".join(server.staged.job_ids[name] for name in names)


CASES = [
    PageCase("jobs", lambda _: "/jobs", "Jobs"),
]


def _open(open_page: OpenContext, server: StagedServer, case: PageCase, scheme: Scheme, width: int) -> Page:
    staged = server.staged
    key = staged.operator_key if case.is_operators else staged.member_key
    page, _ = open_page(server.url, key=key, scheme=scheme, width=width)
    page.goto(f"/#{case.find_path(server)}")
    expect(page.get_by_role("heading", level=1, name=re.compile(case.heading))).to_be_visible()
    settle(page)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_page_is_accessible(open_page: OpenContext, server: StagedServer, case: PageCase, scheme: Scheme) -> None:
    page = _open(open_page, server, case, scheme, 1280)
    check_accessibility(page)
    check_layout(page)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_page_fits_a_telephone(open_page: OpenContext, server: StagedServer, case: PageCase) -> None:
    page = _open(open_page, server, case, "light", TELEPHONE_WIDTH)
    check_accessibility(page)
    check_layout(page)


def check_accessibility(page: Page) -> None:
    """By axe-core: nothing that it calls serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((found) => found.violations)")
    told = [
        f"{each['impact']}: {each['id']}, {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in violations
        if each["impact"] in GRAVE
        for node in each["nodes"][:4]
    ]
    assert not told, "axe found:\n" + "\n".join(told)


def check_layout(page: Page) -> None:
    """Nothing is wider than the window, and nothing has jumped."""
    wide: list[str] = page.evaluate("""() => {
        const room = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= room) return [];
        const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 1);
        return wide.slice(0, 8).map((e) => `${e.tagName} .${e.className} to ${e.getBoundingClientRect().right}`);
    }""")
    assert not wide, "wider than the window:\n" + "\n".join(wide)
    shift: float = page.evaluate("window.__layoutShift")
    assert shift < MAX_LAYOUT_SHIFT, page.evaluate("window.__layoutShifts")
