"""The pages of a staged installation that are tested, and of which pictures are made."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.staged.server import StagedServer
from tests.support.chromium import WAIT_MS

REST_MS = 200


@dataclass(frozen=True)
class PageCase:
    """A page: its path after `#`, a pattern for its heading, and whether it has curves, which load later."""

    name: str
    find_path: Callable[[StagedServer], str]
    heading: str
    is_operators: bool = False
    has_curves: bool = False

    def open(self, page: Page, server: StagedServer) -> None:
        """Open the page and wait until all that it requests at first has loaded."""
        page.goto(f"/#{self.find_path(server)}")
        expect(page.get_by_role("heading", level=1, name=re.compile(self.heading))).to_be_visible(timeout=WAIT_MS)
        if self.has_curves:
            expect(page.locator("figure canvas").first).to_be_visible(timeout=WAIT_MS)
        # One request may follow another.
        for _ in range(2):
            expect(page.locator(".skeleton")).to_have_count(0, timeout=WAIT_MS)
            page.wait_for_timeout(REST_MS)


def _of_job(name: str) -> Callable[[StagedServer], str]:
    return lambda server: f"/jobs/{server.staged.job_ids[name]}"


def _compare(server: StagedServer) -> str:
    names = ("calm support 1B", "calm support 1B, rank 16", "warm replies v3")
    return "/compare?jobs=" + ",".join(server.staged.job_ids[name] for name in names)


CASES = [
    PageCase("jobs", lambda _: "/jobs", "^Jobs$"),
    PageCase("jobs-filtered", lambda _: "/jobs?status=failed", "^Jobs$"),
    PageCase("job-running", _of_job("warm replies v4"), "^warm replies v4$", has_curves=True),
    PageCase("job-queued", _of_job("calm support 1B, cosine"), "^calm support 1B, cosine$"),
    PageCase("job-succeeded", _of_job("calm support 1B"), "^calm support 1B$", has_curves=True),
    PageCase("job-resumed", _of_job("warm replies v3"), "^warm replies v3$", has_curves=True),
    PageCase("job-failed", _of_job("companion 4B, first try"), "^companion 4B, first try$"),
    PageCase("new-job", lambda _: "/new-job", "New job"),
    PageCase("new-job-clone", lambda server: f"/new-job?from={server.staged.job_ids['calm support 1B']}", "New job"),
    PageCase("datasets", lambda _: "/datasets", "^Datasets$"),
    PageCase("dataset", lambda server: f"/datasets/{server.staged.dataset_ids['companion stories']}", "companion"),
    PageCase("compare", _compare, "^Compare jobs$", has_curves=True),
    PageCase("queue", lambda _: "/queue", "^Queue and slots$"),
    PageCase("queue-operator", lambda _: "/queue", "^Queue and slots$", is_operators=True),
    PageCase("team", lambda _: "/team", "^voice$"),
    PageCase("team-operator", lambda _: "/team", "^platform$", is_operators=True),
    PageCase("unknown", lambda _: "/nothing-here", "^Page not found$"),
]
