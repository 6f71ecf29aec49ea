"""Chromium without a screen, and pages that fail their test when something complains or leaves the machine."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Where a refusal of the API is what a test is about, Chromium's own line about its status is no complaint.
STATUS_LINE = "Failed to load resource: the server responded with a status of"


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


class Watched:
    """What the pages of a context complain of, and the hosts that they ask."""

    def __init__(self, context: Any, host: str) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.host = host
        context.on("page", self.watch)
        context.add_init_script(
            "addEventListener('securitypolicyviolation', "
            "(event) => console.error(`refused: ${event.violatedDirective} ${event.blockedURI}`))"
        )

    def watch(self, page: Page) -> None:
        page.on("console", lambda said: self._heard(said.type, said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _heard(self, type: str, text: str) -> None:
        if type in ("error", "warning") and not text.startswith(STATUS_LINE):
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if url.startswith(("http:", "https:", "ws:", "wss:")):
            self.hosts.add(url.split("/")[2])

    def silent(self) -> None:
        """Asserts that nothing complained and no request left for elsewhere."""
        assert self.complaints == []
        assert self.hosts <= {self.host}
