"""The table of jobs, as a person uses it."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenContext, settle
from tests.browser.staged.server import StagedServer


def _open_jobs(open_page: OpenContext, server: StagedServer, query: str = "") -> Page:
    page, _ = open_page(server.url, key=server.staged.member_key)
    page.goto(f"/#/jobs{query}")
    settle(page)
    return page


def _row(page: Page, name: str) -> Locator:
    return page.locator("tbody tr").filter(has=page.get_by_role("link", name=name, exact=True))


def test_the_filter_is_in_the_address(open_page: OpenContext, server: StagedServer) -> None:
    page = _open_jobs(open_page, server)
    page.get_by_role("button", name=re.compile("^Succeeded")).click()
    page.keyboard.press("/")
    page.keyboard.type("warm")
    page.get_by_role("columnheader", name="Loss").get_by_role("button").click()
    expect(page).to_have_url(re.compile(r"#/jobs\?status=succeeded&search=warm&sort=last_loss$"))
    expect(page.get_by_role("columnheader", name="Loss")).to_have_attribute("aria-sort", "ascending")
    names = page.locator(".jobs-link")
    expect(names).to_have_text(["warm replies v3", "warm replies v2", "warm replies v1, as the original"])

    page.reload()
    expect(names).to_have_count(3)
    expect(page.get_by_role("searchbox")).to_have_value("warm")
    page.get_by_role("searchbox").fill("no such job")
    page.get_by_role("button", name="Show all jobs").click()
    expect(page).to_have_url(re.compile(r"#/jobs(\?sort=last_loss)?$"))


def test_jobs_are_chosen_by_keys_and_compared(open_page: OpenContext, server: StagedServer) -> None:
    page = _open_jobs(open_page, server, "?search=calm%20support%201B&status=succeeded&sort=name")
    expect(page.locator(".jobs-link")).to_have_text(["calm support 1B", "calm support 1B, rank 16"])
    for key in ("j", "x", "ArrowDown", "x"):
        page.keyboard.press(key)
    expect(page.get_by_role("region", name="Chosen jobs")).to_contain_text("2 chosen")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Compare (2)").click()
    expect(page.get_by_role("heading", level=1, name="Compare jobs")).to_be_visible()
    config = page.get_by_role("region", name="Configs of the jobs")
    expect(config.get_by_role("row", name="lora_rank")).to_contain_text("32")


def test_a_job_is_paused_and_resumed_by_its_menu(open_page: OpenContext, server: StagedServer) -> None:
    page = _open_jobs(open_page, server, "?search=no%20warm-up")
    row = _row(page, "calm support 1B, no warm-up")
    expect(row).to_contain_text("Queued")
    row.get_by_role("button", name="Actions for").press("Enter")
    expect(page.get_by_role("menuitem", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row).to_contain_text("Paused")
    row.get_by_role("button", name="Actions for").click()
    page.get_by_role("menuitem", name="Resume").click()
    expect(row).to_contain_text("Queued")


def test_a_cancel_is_confirmed_first(open_page: OpenContext, server: StagedServer) -> None:
    page = _open_jobs(open_page, server, "?search=no%20warm-up")
    row = _row(page, "calm support 1B, no warm-up")
    row.get_by_role("button", name="Actions for").click()
    page.get_by_role("menuitem", name="Cancel").click()
    dialog = page.get_by_role("dialog", name="Cancel this job?")
    expect(dialog).to_contain_text("leaves the queue")
    dialog.get_by_role("button", name="Keep it").click()
    expect(dialog).to_have_count(0)
    expect(row).to_contain_text("Queued")
