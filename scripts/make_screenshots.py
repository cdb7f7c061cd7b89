"""Takes pictures of every page of a staged installation, light and dark, in three widths, into build/screenshots/.

    .venv/bin/python -m scripts.make_screenshots [--data-dir FOLDER] [--page NAME] [--readme]

With --readme it also makes the two small pictures of README.md and docs/dashboard.md, in docs/images/.
"""

import argparse
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.pages import CASES, PageCase
from tests.browser.staged.server import StagedServer, serve_staged
from tests.support.chromium import WAIT_MS, find_chromium, launch, log_in

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "build" / "screenshots"
README_IMAGES = ROOT / "docs" / "images"

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
WIDTHS = {1440: 900, 820: 1100, 380: 800}

# Name of the case, and the file in docs/images/.
README_PICTURES = {"jobs": "dashboard-jobs.png", "job-running": "dashboard-job.png"}
README_WIDTH, README_HEIGHT = 1440, 860
MAX_README_BYTES = 120_000
COMMON_COLOURS, MAX_COLOURS = 200, 256
# A larger distance than that of the colours that smooth the edges of letters.
UNLIKE = 24

# By then pages have faded in, and curves have been drawn with all their points.
REST_MS = 600


def main() -> None:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, help="a folder for the staged installation; default: a new one")
    parser.add_argument("--page", choices=names, action="append", help="only this page")
    parser.add_argument("--readme", action="store_true", help="also make the README's pictures")
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        sys.exit("Chromium is not installed, and CHROMIUM names none")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if not options.page or case.name in options.page]
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        browser = launch(playwright, executable)
        with serve_staged(options.data_dir or Path(scratch)) as server:
            if options.readme:
                make_readme_pictures(browser, server)
            shoot(browser, server, cases)
        browser.close()
    print(f"{len(cases) * len(SCHEMES) * len(WIDTHS)} pictures are in {OUTPUT}")


def shoot(browser: Browser, server: StagedServer, cases: Sequence[PageCase]) -> None:
    for width, height in WIDTHS.items():
        for scheme in SCHEMES:
            for is_operators in (False, True):
                page = open_page(browser, server, width, height, scheme, is_operators=is_operators)
                for case in cases:
                    if case.is_operators is is_operators:
                        show(page, server, case)
                        page.screenshot(path=OUTPUT / f"{case.name}-{width}-{scheme}.png", full_page=True)
                page.context.close()


def make_readme_pictures(browser: Browser, server: StagedServer) -> None:
    """Make pictures of the upper part of a page, in few colours, as a README is loaded often."""
    page = open_page(browser, server, README_WIDTH, README_HEIGHT, "light")
    for case in CASES:
        if case.name not in README_PICTURES:
            continue
        show(page, server, case)
        path = README_IMAGES / README_PICTURES[case.name]
        page.screenshot(path=path)
        reduce_colours(path)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")
    page.context.close()


def reduce_colours(path: Path) -> None:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.quantize(palette=make_palette(picture), dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MAX_README_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, and {MAX_README_BYTES} are allowed")


def make_palette(picture: Image.Image) -> Image.Image:
    """Return the most common colours, and those of dots and badges, which differ from all of them."""
    common = picture.quantize(COMMON_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    colours = list_colours(common)
    for colour in list_colours(picture):
        if len(colours) == MAX_COLOURS:
            break
        if all(math.dist(colour, each) > UNLIKE for each in colours):
            colours.append(colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in colours for channel in colour])
    return palette


def list_colours(picture: Image.Image) -> list[tuple[int, int, int]]:
    """Return the colours, the most common first."""
    counts = Counter(zip(*(band.tobytes() for band in picture.split()), strict=True))
    return [(red, green, blue) for (red, green, blue), _ in counts.most_common()]


def open_page(
    browser: Browser, server: StagedServer, width: int, height: int, scheme: Scheme, *, is_operators: bool = False
) -> Page:
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
    )
    context.set_default_timeout(WAIT_MS)
    key = server.staged.operator_key if is_operators else server.staged.member_key
    log_in(context, key)
    return context.new_page()


def show(page: Page, server: StagedServer, case: PageCase) -> None:
    page.goto("about:blank")
    case.open(page, server)
    page.wait_for_timeout(REST_MS)


if __name__ == "__main__":
    main()
