"""Uploading a dataset, fixing one that was refused, and looking at it, as a person does it."""

import json
import re

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.conftest import OpenContext
from tests.browser.staged.server import StagedServer
from tests.browser.test_pages import check_accessibility

GOOD = json.dumps(
    {
        "messages": [
            {"role": "user", "content": "How is it?"},
            {"role": "assistant", "content": "<emo joy=0.9>Fine, thank you!</emo>"},
        ]
    }
)
UNKNOWN_EMOTION = GOOD.replace("joy", "jy")
NO_MESSAGES = '{"text": "How is it?"}'


def make_file(name: str, lines: list[str]) -> FilePayload:
    return {"name": name, "mimeType": "application/jsonl", "buffer": "\n".join(lines).encode()}


def choose(page: Page, file: FilePayload) -> Locator:
    """Choose a file for upload; returns its card on the page."""
    page.goto("/#/datasets")
    page.get_by_label("Choose files").set_input_files(file)
    return page.get_by_role("article", name=file["name"])


def test_a_file_becomes_a_dataset_and_goes(open_page: OpenContext, server: StagedServer) -> None:
    page, _ = open_page(server.url, key=server.staged.member_key)
    card = choose(page, make_file("first chats.jsonl", [GOOD]))
    expect(card.get_by_role("textbox", name="Name")).to_have_value("first chats")
    card.get_by_role("textbox", name="Name").fill("first chats, mine")
    card.get_by_role("button", name="Check only").click()
    expect(card.get_by_text("Nothing is stored yet")).to_be_visible()

    card.get_by_role("button", name="Upload it").click()
    expect(card.get_by_text('Stored as "first chats, mine"')).to_be_visible()
    check_accessibility(page)
    row = page.get_by_role("row", name=re.compile("first chats, mine"))
    expect(row.get_by_role("link", name="New job")).to_have_attribute("href", re.compile(r"#/new-job\?dataset=ds_"))

    row.get_by_role("button", name="Delete first chats, mine").click()
    page.get_by_role("button", name="Delete it").click()
    expect(row).to_have_count(0)


def test_a_refused_file_is_fixed_in_the_page(open_page: OpenContext, server: StagedServer) -> None:
    page, watch = open_page(server.url, key=server.staged.member_key)
    watch.expect(422, "/datasets")
    card = choose(page, make_file("broken.jsonl", [GOOD, UNKNOWN_EMOTION, GOOD.replace("Fine", "Well"), NO_MESSAGES]))
    card.get_by_role("button", name="Upload", exact=True).click()
    expect(card.get_by_text("2 problems: nothing was stored.")).to_be_visible()
    expect(card.locator("mark")).to_have_text("<emo jy=0.9>")
    check_accessibility(page)
    send = card.get_by_role("button", name="Upload the corrected file")
    expect(send).to_be_disabled()

    # Remaining problems are reported before anything is uploaded.
    card.get_by_role("button", name="Edit line 2").click()
    card.get_by_role("button", name="Check and keep").click()
    expect(card.get_by_text("Still wrong:")).to_be_visible()
    card.get_by_role("textbox", name="Text of line 2").fill(UNKNOWN_EMOTION.replace("jy", "trust"))
    card.get_by_role("button", name="Check and keep").click()
    expect(card.get_by_text("edited", exact=True)).to_be_visible()

    card.get_by_role("button", name="Leave all bad lines out").click()
    expect(card.get_by_text("left out", exact=True)).to_be_visible()
    send.click()
    expect(card.get_by_text("with 2 lines fixed here")).to_be_visible()
    expect(card.get_by_text("3 examples")).to_be_visible()

    href = card.get_by_role("link", name="Open it").get_attribute("href") or ""
    stored = page.request.get(f"/datasets/{href.split('/')[-1]}/file").text()
    assert [json.loads(line) for line in stored.split("\n")[:3]] == [
        json.loads(line) for line in (GOOD, UNKNOWN_EMOTION.replace("jy", "trust"), GOOD.replace("Fine", "Well"))
    ]


@pytest.mark.parametrize("bad_count", [150, 320])
def test_more_bad_lines_than_a_report_lists_are_left_out_at_once(
    open_page: OpenContext, server: StagedServer, bad_count: int
) -> None:
    page, watch = open_page(server.url, key=server.staged.member_key)
    watch.expect(422, "/datasets")
    lines = [GOOD, *[NO_MESSAGES] * bad_count, GOOD.replace("Fine", "Well")]
    card = choose(page, make_file(f"many {bad_count}.jsonl", lines))
    card.get_by_role("button", name="Upload", exact=True).click()
    card.get_by_role("button", name="Leave every bad line out and upload").click()
    expect(card.get_by_text(f"with {bad_count} lines fixed here")).to_be_visible()
    expect(card.get_by_text("2 examples")).to_be_visible()


def test_an_error_is_shown_at_its_field(open_page: OpenContext, server: StagedServer) -> None:
    page, watch = open_page(server.url, key=server.staged.member_key)
    watch.expect(422, "/datasets")
    card = choose(page, make_file("cold.jsonl", [GOOD.replace("joy", "warm")]))
    card.get_by_text("Custom axes, or texts with labels").click()
    axes = card.get_by_role("textbox", name="Custom axes")
    axes.fill("COLD_WARM")
    card.get_by_role("button", name="Upload", exact=True).click()
    expect(axes).to_have_attribute("aria-invalid", "true")
    axes.fill("COLD_WARM,SHY_BOLD")
    card.get_by_role("button", name="Upload", exact=True).click()
    card.get_by_role("link", name="Open it").click()
    expect(page.get_by_role("heading", level=1, name="cold")).to_be_visible()
    expect(page.get_by_text("COLD_WARM, SHY_BOLD")).to_be_visible()
