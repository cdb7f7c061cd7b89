"""Every page of a staged installation opens, is accessible in both schemes, and fits a telephone."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext
from tests.browser.pages import CASES, PageCase
from tests.browser.staged.server import StagedServer

AXE = Path(__file__).parents[2] / "dashboard" / "node_modules" / "axe-core" / "axe.min.js"
DESK_WIDTH, TELEPHONE_WIDTH = 1280, 380
# Chromium calls a page good up to this layout shift.
MAX_LAYOUT_SHIFT = 0.1
GRAVE = ("serious", "critical")

MAX_VISITS = 10
MAX_FIRST_ROW_SECONDS = 0.4
# On a machine that needs longer than that for scripts and styles alone, the jobs may take this many times as long as
# the navigation, which is drawn as soon as these have run. Ten visits on two busy cores: 1.5 to 2.4 times, median 1.8.
MAX_TIMES_NAVIGATION = 2
MAX_ASSET_BYTES = 120_000
# Measures the milliseconds from the start of the page load until the navigation is drawn, and until the first job is in
# the table.
MARK_FIRST_ROW = """
new MutationObserver((_, observer) => {
  if (document.querySelector("nav")) window.__navigationMs ??= performance.now();
  if (!document.querySelector("tbody tr a[href*='/jobs/']")) return;
  window.__firstRowMs = performance.now();
  observer.disconnect();
}).observe(document, { childList: true, subtree: true });
"""
SUM_TRANSFERS = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter((entry) => /\\/(assets\\/.*)?$/.test(new URL(entry.name).pathname))
  .reduce((sum, entry) => sum + entry.transferSize, 0)
"""


def _open(open_page: OpenContext, server: StagedServer, case: PageCase, width: int) -> Page:
    staged = server.staged
    key = staged.operator_key if case.is_operators else staged.member_key
    page, _ = open_page(server.url, key=key, width=width)
    case.open(page, server)
    return page


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_page_is_accessible_in_light_and_dark(open_page: OpenContext, server: StagedServer, case: PageCase) -> None:
    page = _open(open_page, server, case, DESK_WIDTH)
    check_layout(page)
    check_accessibility(page)
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    check_accessibility(page)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_page_fits_a_telephone(open_page: OpenContext, server: StagedServer, case: PageCase) -> None:
    page = _open(open_page, server, case, TELEPHONE_WIDTH)
    check_layout(page)
    check_accessibility(page)


def test_the_jobs_are_there_at_once(open_page: OpenContext, server: StagedServer) -> None:
    """Each visit starts with an empty cache, like a first one. One fast visit is enough on a shared machine."""
    visits: list[tuple[float, float]] = []
    sizes: list[int] = []
    while len(visits) < MAX_VISITS and not any(map(_is_fast, visits)):
        page, _ = open_page(server.url, key=server.staged.member_key)
        page.add_init_script(MARK_FIRST_ROW)
        page.goto("/#/jobs")
        expect(page.locator("tbody tr").first).to_be_visible()
        visits.append((page.evaluate("window.__firstRowMs") / 1000, page.evaluate("window.__navigationMs") / 1000))
        sizes.append(page.evaluate(SUM_TRANSFERS))
        page.close()
    first_row, navigation = min(visits)
    print(f"first rows after {first_row:.3f} s, {first_row / navigation:.2f} times the navigation, {max(sizes)} bytes")
    assert any(map(_is_fast, visits)), visits
    assert max(sizes) < MAX_ASSET_BYTES, sizes


def _is_fast(visit: tuple[float, float]) -> bool:
    first_row, navigation = visit
    return first_row < max(MAX_FIRST_ROW_SECONDS, MAX_TIMES_NAVIGATION * navigation)


def check_accessibility(page: Page) -> None:
    """Check with axe-core that the page has no serious and no critical violation."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((found) => found.violations)")
    reported = [
        f"{each['impact']}: {each['id']}, {each['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
        for each in violations
        if each["impact"] in GRAVE
        for node in each["nodes"][:4]
    ]
    assert not reported, "axe found:\n" + "\n".join(reported)


def check_layout(page: Page) -> None:
    """Check that nothing is wider than the window, and that the layout has not shifted."""
    wide: list[str] = page.evaluate("""() => {
        const room = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= room) return [];
        const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > room + 1);
        return wide.slice(0, 8).map((e) => `${e.tagName} .${e.className} to ${e.getBoundingClientRect().right}`);
    }""")
    assert not wide, "wider than the window:\n" + "\n".join(wide)
    shift: float = page.evaluate("window.__layoutShift")
    assert shift < MAX_LAYOUT_SHIFT, page.evaluate("window.__layoutShifts")
