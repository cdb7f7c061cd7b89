"""Logging in and out, as a person does it."""

import re

from playwright.sync_api import expect

from tests.browser.conftest import OpenContext
from tests.browser.staged.server import StagedServer
from tests.browser.test_pages import check_accessibility, check_layout


def test_a_link_logs_in_once(open_page: OpenContext, server: StagedServer) -> None:
    link = server.make_login_link(server.staged.member_key)
    page, watch = open_page(server.url)
    watch.expect(401, "/session")
    page.goto(link)
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    # The code is neither in the address nor in the history.
    expect(page).to_have_url(re.compile(r"/#/jobs$"))

    other, watch = open_page(server.url)
    watch.expect(401, "/session")
    other.goto(link)
    expect(other.get_by_role("alert")).to_contain_text("used before")
    expect(other.get_by_role("textbox", name="API key")).to_be_visible()


def test_a_key_logs_in_and_the_button_logs_out(open_page: OpenContext, server: StagedServer) -> None:
    page, watch = open_page(server.url)
    # The first 401 is the answer before the login, the second the answer to an invalid key.
    watch.expect(401, "/session")
    page.goto("/")
    page.get_by_label("API key").fill("emo_" + "0" * 43)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("key")

    page.get_by_label("API key").fill(server.staged.member_key)
    page.get_by_label("API key").press("Enter")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    page.reload()
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.request.get("/session").status == 401


def test_a_page_asked_for_before_the_login_opens_after_it(open_page: OpenContext, server: StagedServer) -> None:
    page, watch = open_page(server.url)
    watch.expect(401, "/session")
    page.goto("/#/team")
    page.get_by_label("API key").fill(server.staged.member_key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("link", name="Team")).to_have_attribute("aria-current", "page")


def test_a_session_that_ends_leads_to_the_login(open_page: OpenContext, server: StagedServer) -> None:
    page, watch = open_page(server.url, key=server.staged.member_key)
    page.goto("/#/jobs")
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
    watch.expect(401, ".*")
    page.context.clear_cookies()
    expect(page.get_by_label("API key")).to_be_visible()


def test_the_login_page_is_accessible_and_fits_a_telephone(open_page: OpenContext, server: StagedServer) -> None:
    for scheme in ("light", "dark"):
        page, watch = open_page(server.url, scheme=scheme, width=380)
        watch.expect(401, "/session")
        page.goto("/")
        expect(page.get_by_label("API key")).to_be_visible()
        check_accessibility(page)
        check_layout(page)
