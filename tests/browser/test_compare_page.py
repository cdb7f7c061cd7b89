"""Comparing jobs side by side, as a person does it."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenContext, settle
from tests.browser.staged.server import StagedServer

UNKNOWN = "job_01m000000000000000000000000"


def _open_compare(open_page: OpenContext, server: StagedServer, *names: str) -> Page:
    page, _ = open_page(server.url, key=server.staged.member_key)
    page.goto("/#/compare?jobs=" + ",".join(server.staged.job_ids[name] for name in names))
    settle(page)
    return page


def test_jobs_are_added_and_taken_out(open_page: OpenContext, server: StagedServer) -> None:
    page = _open_compare(open_page, server)
    expect(page.get_by_role("heading", name="No jobs are chosen")).to_be_visible()
    page.get_by_role("button", name="Add jobs").first.click()
    picker = page.get_by_role("dialog", name="Add jobs")
    for name in ("warm replies v3", "warm replies v2"):
        picker.get_by_role("searchbox").fill(name)
        picker.get_by_role("button", name=name).click()
    picker.get_by_role("button", name="Done").click()
    expect(page).to_have_url(re.compile(server.staged.job_ids["warm replies v2"]))
    chosen = page.get_by_role("list", name="Jobs in the comparison")
    expect(chosen.get_by_role("listitem")).to_have_count(2)
    figures = page.get_by_role("region", name="Figures of the jobs")
    expect(figures.get_by_role("row", name="Last loss").locator(".is-best")).to_have_count(1)

    chosen.get_by_role("button", name="Remove warm replies v3").click()
    expect(chosen).to_contain_text("Add a second job")


def test_configs_show_what_differs_first(open_page: OpenContext, server: StagedServer) -> None:
    page = _open_compare(open_page, server, "calm support 1B", "calm support 1B, rank 16")
    configs = page.get_by_role("region", name="Configs of the jobs")
    expect(configs.get_by_role("row", name="lora_rank")).to_be_visible()
    expect(configs.get_by_role("row", name="seed")).to_have_count(0)
    page.get_by_role("checkbox", name="Show equal fields").check()
    expect(configs.get_by_role("row", name="seed")).to_be_visible()
    page.get_by_role("button", name="Time").click()
    page.get_by_role("checkbox", name="Eval loss").check()
    expect(page).to_have_url(re.compile(r"x=time&eval=1$"))


def test_a_job_that_is_not_there_leaves_the_others(open_page: OpenContext, server: StagedServer) -> None:
    page, watch = open_page(server.url, key=server.staged.member_key)
    watch.expect(404, f"/jobs/{UNKNOWN}")
    page.goto(f"/#/compare?jobs={UNKNOWN},{server.staged.job_ids['warm replies v3']}")
    chosen = page.get_by_role("list", name="Jobs in the comparison")
    expect(chosen).to_contain_text("no job with this id")
    expect(chosen).to_contain_text("warm replies v3")
    expect(page.get_by_role("region", name="Figures of the jobs")).to_be_visible()
