"""Chromium without a screen: browsers that note what complains and what leaves, and axe, which finds barriers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

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
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# Chromium itself says this of every answer of 4xx and 5xx; what the page does about it is what a test looks at.
STATUS_LINE = "Failed to load resource: "


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@contextmanager
def person(browser: Browser, url: str, **options: Any) -> Iterator[BrowserContext]:
    """One person's browser, with storage of its own and Buenos Aires' clock. Asserts at the end that the console was
    silent, that the policy refused nothing, and that no request left for another host."""
    settings = {
        "viewport": DESK,
        "locale": "es-AR",
        "timezone_id": "America/Argentina/Buenos_Aires",
    } | options
    context = browser.new_context(base_url=url, **settings)
    complaints: list[str] = []
    hosts: set[str] = set()

    def heard(type: str, text: str) -> None:
        if type in ("error", "warning") and not text.startswith(STATUS_LINE):
            complaints.append(text)

    def watch(page: Page) -> None:
        page.on("console", lambda said: heard(said.type, said.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda asked: hosts.add(asked.url.split("/")[2]) if asked.url[:4] == "http" else None
        )

    context.on("page", watch)
    context.add_init_script(
        "addEventListener('securitypolicyviolation', "
        "(event) => console.error(`refused: ${event.violatedDirective} ${event.blockedURI}`))"
    )
    yield context
    context.close()
    assert complaints == []
    assert hosts <= {url.split("/")[2]}


def barriers(page: Page) -> list[str]:
    """What axe-core finds on the page as it is now: each finding, and where."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{wrong['id']}: {node['target']} {node['failureSummary']}"
        for wrong in found["violations"]
        for node in wrong["nodes"]
    ]
