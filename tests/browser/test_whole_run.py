"""A fine-tune from the file to the bundle with the mouse, on a running stack that is broken in the middle."""

import hashlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from cli.client import Client
from cli.credentials import Credentials
from cli.stack import STOP_SECONDS, Stack
from jobs.runs.metrics import make_redis
from jobs.settings import Settings
from tests.browser.conftest import REPOSITORY, OpenContext
from tests.support.stacks import Installation
from tests.support.tiny_base import make_tiny_base

# Long enough that all the rest happens while it runs.
EPOCHS, SHORT_EPOCHS = "6", "1"
BAD_LINE = 7
RUN_MS = 150_000


@pytest.fixture
def installation(browser: Browser, tmp_path: Path) -> Iterator[Installation]:
    settings = Settings(
        data_dir=tmp_path / "data",
        base_models={"tiny-gemma": str(make_tiny_base(tmp_path / "tiny-gemma"))},
        port=0,
        host_name="box-a",
        min_free_disk_bytes=0,
        heartbeat_seconds=0.3,
        metric_flush_seconds=0.5,
        lease_seconds=20,
        worker_seen_seconds=10,
        trainer_threads=1,
    )
    with Stack(settings) as stack, Client(Credentials(url=stack.url, api_key=stack.api_key)) as client:
        installation = Installation(stack, client, "")
        yield installation
        installation.end()


@pytest.fixture
def file_with_a_bad_line(tmp_path: Path) -> Path:
    """The sample chats, one of them with an emotion that there is not."""
    lines = (REPOSITORY / "samples" / "chats.jsonl").read_text(encoding="utf-8").splitlines()
    chat = json.loads(lines[0])
    chat["messages"][-1]["emotion"] = {"jy": 1}
    lines[BAD_LINE - 1] = json.dumps(chat)
    path = tmp_path / "warm replies.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.timeout(450)
def test_from_a_file_to_a_bundle(
    installation: Installation, open_page: OpenContext, file_with_a_bad_line: Path, tmp_path: Path
) -> None:
    stack = installation.stack
    page, watch = open_page(stack.url, height=1000)
    watch.expect(401, "/session")
    # The bad line.
    watch.expect(422, "/datasets")
    code = installation.client.create_login_code()
    page.goto(code["path"])

    upload_and_fix(page, file_with_a_bad_line)
    page.get_by_role("link", name="New job with it").click()
    post_job(page, "warm replies", EPOCHS)
    first_url = page.url
    watch_the_curve_move(page)

    page.get_by_role("button", name="Pause", exact=True).click()
    expect(find_badge(page, "Paused")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(find_badge(page, "Running")).to_be_visible()
    page.evaluate("window.__sameDocument = true")
    watch_the_curve_move(page)

    before = read_last_step(page)
    with watch.outage():
        stack.get_process("api").stop()
        expect(page.get_by_text("No connection")).to_be_visible()
        empty_redis(stack.settings)
        restart_api(stack)
        expect(page.get_by_text("No connection")).to_have_count(0, timeout=RUN_MS)
        watch_the_curve_move(page, before)

    expect(find_badge(page, "Succeeded")).to_be_visible(timeout=RUN_MS)
    assert page.evaluate("window.__sameDocument"), "the page was loaded again"
    check_curve_is_whole(page, open_page(stack.url, key=stack.api_key, height=1000)[0])
    download_the_bundle(page, tmp_path)
    compare_with_another(page, first_url)


def upload_and_fix(page: Page, path: Path) -> None:
    """The bad line is shown with its problem, and left out."""
    page.get_by_role("link", name="Datasets", exact=True).click()
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose files").click()
    chooser.value.set_files(path)
    sending = page.get_by_role("article", name=path.name)
    sending.get_by_role("button", name="Upload", exact=True).click()
    expect(sending).to_contain_text("1 problem: nothing was stored.")
    bad_line = sending.get_by_role("listitem").filter(has_text=f"Line {BAD_LINE}").first
    expect(bad_line).to_contain_text("jy")
    bad_line.get_by_role("button", name="Leave this line out").click()
    sending.get_by_role("button", name="Upload the corrected file").click()
    expect(sending).to_contain_text("Stored as")


def post_job(page: Page, name: str, epochs: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_contain_text("New job")
    expect(page.get_by_role("radio", name="tiny-gemma")).to_be_checked()
    page.get_by_label("Epochs", exact=True).fill(epochs)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Post the job").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def find_badge(page: Page, status: str) -> Locator:
    return page.get_by_role("main").get_by_text(re.compile(f"^{status}")).first


def find_chart(page: Page) -> Locator:
    return page.get_by_role("group", name="Loss by step")


def watch_the_curve_move(page: Page, before: int | None = None) -> None:
    """Until there are some points more than before, or than now."""
    before = read_last_step(page) if before is None else before
    deadline = time.monotonic() + RUN_MS / 1000
    while read_last_step(page) <= before + 3:
        assert time.monotonic() < deadline, "no point came"


def read_last_step(page: Page) -> int:
    """Of the loss chart's table; 0 before the first point."""
    chart = page.locator("figure", has=find_chart(page))
    if chart.count() == 0:
        page.wait_for_timeout(100)
        return 0
    table = chart.get_by_role("table")
    if table.count() == 0:
        chart.get_by_text("Show as a table").click()
    page.wait_for_timeout(100)
    rows = table.locator("tbody tr td:first-child").all_inner_texts()
    return max((int(re.sub(r"\D", "", text)) for text in rows), default=0)


def empty_redis(settings: Settings) -> None:
    redis = make_redis(settings)
    redis.flushall()
    redis.close()


def restart_api(stack: Stack) -> None:
    api = stack.get_process("api")
    stack.processes.remove(api)
    stack._start("api", "api", stop_seconds=STOP_SECONDS)
    # The stack stops its first process last, and that is Valkey.
    stack.processes.insert(1, stack.processes.pop())


def check_curve_is_whole(grown: Page, fresh: Page) -> None:
    """What has grown over pause, restart and loss of Redis is the picture that a page draws that is opened now."""
    fresh.goto(grown.url)
    expect(find_badge(fresh, "Succeeded")).to_be_visible()
    expect(find_chart(fresh).locator("canvas")).to_be_visible()
    assert read_last_step(fresh) == read_last_step(grown)
    described = [find_chart(page).get_attribute("aria-describedby") for page in (grown, fresh)]
    texts = [page.locator(f"[id='{each}']").inner_text() for page, each in zip((grown, fresh), described, strict=True)]
    assert texts[0] == texts[1]
    pictures = [
        find_chart(page).evaluate("(chart) => chart.querySelector('canvas').toDataURL()") for page in (grown, fresh)
    ]
    assert pictures[0] == pictures[1], "the curve that grew differs from one that is loaded again"


def download_the_bundle(page: Page, folder: Path) -> None:
    row = page.get_by_role("row").filter(has_text="bundle-")
    told = row.locator("code").get_attribute("title")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the bundle").click()
    path = folder / "bundle.zip"
    download.value.save_as(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == told


def compare_with_another(page: Page, first_url: str) -> None:
    page.get_by_role("link", name="Clone with changes").click()
    page.get_by_label("LoRA rank", exact=True).fill("8")
    post_job(page, "warm replies, rank 8", SHORT_EPOCHS)
    expect(find_badge(page, "Succeeded")).to_be_visible(timeout=RUN_MS)
    assert page.url != first_url
    page.get_by_role("link", name="Jobs", exact=True).click()
    for name in ("warm replies", "warm replies, rank 8"):
        page.get_by_role("checkbox", name=f"Choose {name}", exact=True).click()
    page.get_by_role("link", name="Compare (2)").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare jobs")
    configs = page.get_by_role("region", name="Configs of the jobs")
    expect(configs.get_by_role("row").filter(has_text="lora_rank")).to_contain_text("8")
    figures = page.get_by_role("region", name="Figures of the jobs")
    expect(figures.get_by_role("columnheader", name="warm replies, rank 8")).to_be_visible()
