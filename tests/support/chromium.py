"""Chromium by Playwright: finding and starting it, and a watch over all that a page must not do."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Playwright, Request, Response, WebError

# Not EMOTUNE_...: emotune's processes refuse to start with such a variable that names no setting.
VARIABLE = "CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome")

# How long a page may take for what a test waits for.
WAIT_MS = 10_000

# The error of requests that the page itself breaks off, for example when it is left.
_BROKEN_OFF = "net::ERR_ABORTED"
# The console's text for an answer that `response` reports already, with its status and path.
_ANSWER_WORDS = "Failed to load resource"

# Runs before the page's own scripts, to record what can't be read later.
_OBSERVE = """
window.__policyBreaches = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.__policyBreaches.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
window.__layoutShift = 0;
window.__layoutShifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (entry.hadRecentInput) continue;
    window.__layoutShift += entry.value;
    const names = entry.sources.map((source) => source.node?.className || source.node?.nodeName || "?");
    window.__layoutShifts.push(`${entry.value.toFixed(3)} of ${names.join(", ")}`);
  }
}).observe({ type: "layout-shift", buffered: true });
"""


# Sets what a login leaves for the page, which can't see the cookie. An empty page may keep nothing.
_LEAVE_MARK = "if (location.protocol.startsWith('http')) localStorage.setItem('emotune-logged-in', 'yes');"


def log_in(context: BrowserContext, key: str) -> None:
    """Log in without the login page."""
    answer = context.request.post("/session", data={"api_key": key})
    if not answer.ok:
        raise RuntimeError(f"the login failed: {answer.text()}")
    context.add_init_script(_LEAVE_MARK)


def find_chromium() -> str | None:
    """The executable that the variable CHROMIUM names, or the machine's."""
    return os.environ.get(VARIABLE) or next((path for name in NAMES if (path := shutil.which(name))), None)


def launch(playwright: Playwright, executable: str) -> Browser:
    # As root and in containers Chromium's sandbox is not available, and /dev/shm is small.
    return playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"])


@dataclass
class Watch:
    """Notes what goes wrong in a context: console errors, exceptions, breaches of the policy, requests that fail or go
    to another host. A test declares beforehand what it expects."""

    context: BrowserContext
    origin: str
    faults: list[str] = field(default_factory=list)
    _expected: list[tuple[int, re.Pattern[str]]] = field(default_factory=list)
    _is_outage: bool = False

    def __post_init__(self) -> None:
        self.context.add_init_script(_OBSERVE)
        self.context.on("console", self._note_console)
        self.context.on("weberror", self._note_exception)
        self.context.on("request", self._note_request)
        self.context.on("requestfailed", self._note_failed)
        self.context.on("response", self._note_response)

    def expect(self, status: int, path: str) -> None:
        """Allow answers with this status for paths that match completely."""
        self._expected.append((status, re.compile(path)))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """While the server is away on purpose, requests may fail."""
        self._is_outage = True
        try:
            yield
        finally:
            self._is_outage = False

    def check(self) -> None:
        """Fail the test with everything that was noted."""
        for page in self.context.pages:
            breaches: list[str] = page.evaluate("window.__policyBreaches ?? []")
            self.faults += [f"breach of the Content-Security-Policy: {breach}" for breach in breaches]
        assert not self.faults, "in the browser:\n" + "\n".join(self.faults)

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_ANSWER_WORDS):
            self.faults.append(f"console {message.type}: {message.text}")

    def _note_exception(self, error: WebError) -> None:
        self.faults.append(f"exception: {error.error.stack or error.error}")

    def _note_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "blob" and f"{parts.scheme}://{parts.netloc}" != self.origin:
            self.faults.append(f"request to another host: {request.url}")

    def _note_failed(self, request: Request) -> None:
        if request.failure != _BROKEN_OFF and not self._is_outage:
            self.faults.append(f"request failed: {request.method} {request.url}: {request.failure}")

    def _note_response(self, response: Response) -> None:
        if response.status < 400 or (self._is_outage and response.status >= 500):
            return
        path = urlsplit(response.url).path
        if not any(status == response.status and form.fullmatch(path) for status, form in self._expected):
            self.faults.append(f"answer {response.status} to {response.request.method} {path}")
