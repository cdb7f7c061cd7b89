"""How smooth the job page is with 20,000 points: in Chromium, on a staged installation.

    .venv/bin/python -m benchmarks.curve_smoothness [--data-dir FOLDER] [--seconds 4]

Prints the time from the navigation to the drawn curve, and the times between two frames while nothing is done, while
the crosshair moves, while the curve is zoomed, and while live points arrive, one a second. A folder that is already
staged is used as it is.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from playwright.sync_api import FloatRect, Locator, Page, expect, sync_playwright

from tests.browser.staged.server import StagedServer, serve_staged
from tests.support.chromium import find_chromium, launch, log_in

JOB = "companion 1B, long run"
VISITS = 3
WAIT_MS = 30_000
WIDTH, HEIGHT = 1440, 900
MOVES_PER_SWEEP = 60

# Collects the times between two frames, in milliseconds, until they are read.
START_FRAMES = """() => {
  const frames = (window.__frames = []);
  let last = performance.now();
  const note = (now) => {
    frames.push(now - last);
    last = now;
    if (window.__frames === frames) requestAnimationFrame(note);
  };
  requestAnimationFrame(note);
}"""
TAKE_FRAMES = "() => { const frames = window.__frames; window.__frames = null; return frames.slice(1); }"

# Resolves when the chart's canvas has been painted, two frames after it has content.
MARK_DRAWN = """
window.__drawnMs = 0;
const isPainted = (canvas) => {
  if (!canvas.width || !canvas.height) return false;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let painted = 0;
  for (let index = 3; index < pixels.length; index += 4) painted += pixels[index] > 0;
  return painted > 2000;
};
const look = () => {
  const canvas = document.querySelector("[role=group][aria-label^='Loss by'] canvas");
  if (canvas && isPainted(canvas)) window.__drawnMs = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of each measurement")
    options = parser.parse_args()
    executable = find_chromium()
    if executable is None:
        raise SystemExit("Chromium is not installed; install it, or name its program in CHROMIUM")
    with (
        tempfile.TemporaryDirectory() as scratch,
        serve_staged(options.data_dir or Path(scratch)) as server,
        sync_playwright() as playwright,
        closing(launch(playwright, executable)) as browser,
    ):
        context = browser.new_context(base_url=server.url, viewport={"width": WIDTH, "height": HEIGHT})
        context.set_default_timeout(WAIT_MS)
        log_in(context, server.staged.member_key)
        context.add_init_script(MARK_DRAWN)
        page = context.new_page()
        measure_opening(page, server)
        measure_frames(page, options.seconds)


def measure_opening(page: Page, server: StagedServer) -> None:
    """Measure the time from the navigation until the curve is drawn; from the second visit on, assets are cached."""
    drawn = []
    for _ in range(VISITS):
        page.goto("about:blank")
        page.goto(f"/#/jobs/{server.staged.job_ids[JOB]}")
        chart = find_chart(page)
        expect(chart).to_be_visible(timeout=WAIT_MS)
        deadline = time.monotonic() + WAIT_MS / 1000
        while not (milliseconds := page.evaluate("window.__drawnMs")):
            if time.monotonic() > deadline:
                raise SystemExit("the curve was not drawn")
            page.wait_for_timeout(20)
        drawn.append(milliseconds)
    print(f"drawn after {', '.join(f'{each:.0f}' for each in drawn)} ms")


def find_chart(page: Page) -> Locator:
    return page.get_by_role("group", name="Loss by step")


def measure_frames(page: Page, seconds: float) -> None:
    chart = find_chart(page)
    chart.scroll_into_view_if_needed()
    tell("idle, with a live point a second", collect(page, seconds, lambda: page.wait_for_timeout(50)))
    tell("hovering", collect(page, seconds, lambda: sweep(page, chart)))
    tell("zooming", collect(page, seconds, lambda: zoom(page, chart)))
    tell("hovering, zoomed in", collect(page, seconds, lambda: sweep(page, chart)))


def collect(page: Page, seconds: float, act: Callable[[], None]) -> list[float]:
    page.evaluate(START_FRAMES)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        act()
    frames: list[float] = page.evaluate(TAKE_FRAMES)
    return frames


def sweep(page: Page, chart: Locator) -> None:
    """Move the mouse once across the chart."""
    box = find_box(chart)
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 80, y)
    page.mouse.move(box["x"] + box["width"] - 20, y, steps=MOVES_PER_SWEEP)


def find_box(chart: Locator) -> FloatRect:
    box = chart.bounding_box()
    if box is None:
        raise SystemExit("the chart is not visible")
    return box


def zoom(page: Page, chart: Locator) -> None:
    """Zoom twice by dragging over the middle third, and back out."""
    box = find_box(chart)
    y = box["y"] + box["height"] / 2
    for _ in range(2):
        page.mouse.move(box["x"] + box["width"] / 3, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 2 * box["width"] / 3, y, steps=MOVES_PER_SWEEP // 3)
        page.mouse.up()
    chart.press("0")


def tell(what: str, frames: Sequence[float]) -> None:
    ordered = sorted(frames)
    p50, p95 = statistics.median(ordered), ordered[int(len(ordered) * 0.95)]
    print(f"{what + ':':36}{len(frames):5} frames, p50 {p50:5.1f} ms, p95 {p95:5.1f} ms, longest {ordered[-1]:6.1f} ms")


if __name__ == "__main__":
    main()
