"""Fixtures for tests in Chromium: the browser, its pages, and a staged installation."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Protocol

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from api.dashboard import STATIC_FOLDER
from tests.browser.staged.server import StagedServer, serve_staged
from tests.support.chromium import WAIT_MS, Watch, find_chromium, launch, log_in

CASE_SECONDS = 120
REPOSITORY = Path(__file__).parents[2]

Scheme = Literal["light", "dark"]

expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(CASE_SECONDS))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    if executable is None:
        pytest.skip("Chromium is not installed, and CHROMIUM names none")
    if not (STATIC_FOLDER / "index.html").is_file():
        pytest.skip("the dashboard is not built: run scripts/build_dashboard.py")
    with sync_playwright() as playwright:
        browser = launch(playwright, executable)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[StagedServer]:
    """A staged installation, shared by all tests that change nothing which another test reads."""
    with serve_staged(tmp_path_factory.mktemp("staged")) as server:
        yield server


class OpenContext(Protocol):
    def __call__(
        self, url: str, *, key: str | None = None, scheme: Scheme = "light", width: int = 1280, height: int = 800
    ) -> tuple[Page, Watch]: ...


@pytest.fixture
def open_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[OpenContext]:
    """Opens an empty page in its own context, logged in if a key is given; checks the watches at the end."""
    with ExitStack() as stack:
        watches: list[Watch] = []

        def open_one(
            url: str, *, key: str | None = None, scheme: Scheme = "light", width: int = 1280, height: int = 800
        ) -> tuple[Page, Watch]:
            context = browser.new_context(
                base_url=url,
                color_scheme=scheme,
                viewport={"width": width, "height": height},
                reduced_motion="reduce",
            )
            stack.callback(context.close)
            context.set_default_timeout(WAIT_MS)
            watch = Watch(context, url)
            watches.append(watch)
            if key is not None:
                log_in(context, key)
            return context.new_page(), watch

        yield open_one
        _keep_pictures(request, watches)
        for watch in watches:
            watch.check()


def settle(page: Page) -> None:
    """Wait until the page has loaded what it requested at first."""
    expect(page.locator(".skeleton")).to_have_count(0)


def _keep_pictures(request: pytest.FixtureRequest, watches: list[Watch]) -> None:
    """Save a screenshot of each open page of a failed test."""
    report: pytest.TestReport | None = request.node.stash.get(REPORT, None)
    if report is None or not report.failed:
        return
    folder = REPOSITORY / "build" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    pages = [page for watch in watches for page in watch.context.pages]
    for number, page in enumerate(pages):
        name = request.node.name.replace("/", "-")
        page.screenshot(path=folder / f"{name}-{number}.png")


REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call":
        item.stash[REPORT] = report
    return report
