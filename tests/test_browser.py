"""A browser without a screen follows the story of /docs: log in, read, import; nothing complains, nothing leaves."""

import shutil

import pytest
from conftest import PASSWORD

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
CSV = "venta,ventas_productos\n150000,2\n99900,1\n"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium, api):
    """A page that fails its test when its console shows an error or a request leaves for elsewhere."""
    complaints, hosts = [], set()
    page = chromium.new_page(base_url=str(api.base_url))
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]) if "//" in request.url else None)
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (event) => console.error(`refused: ${event.blockedURI}`))"
    )
    yield page
    page.close()
    assert complaints == []
    assert hosts == {api.base_url.netloc.decode()}


def _execute(page, operation: str, body: str | None = None) -> str:
    """Tries an operation out; returns what the page shows of the answer: its status and body."""
    block = page.locator(f"#operations-{operation}")
    block.locator(".opblock-summary-control").click()
    block.locator(".try-out__btn").click()
    if body is not None:
        block.locator("textarea.body-param__text").fill(body)
    block.locator(".execute").click()
    return block.locator(".live-responses-table .response").first.inner_text()


def _authorize(page, username: str, password: str) -> None:
    page.locator(".btn.authorize").first.click()
    page.fill("#oauth_username", username)
    page.fill("#oauth_password", password)
    page.get_by_label("Apply given OAuth2 credentials").click()
    page.get_by_text("Logout").first.wait_for()
    page.locator(".close-modal").click()


def test_authorize_read_and_import(page, ana):
    page.goto("/docs")
    _authorize(page, "ana", PASSWORD)

    listed = _execute(page, "users-users_index")
    assert listed.startswith("200")
    assert '"username": "ana"' in listed
    imported = _execute(page, "bulk-bulk_load", CSV)
    assert imported.startswith("201")
    assert '"filas": 2' in imported


def test_the_story_from_the_page_alone(page):
    page.goto("/docs")

    registered = _execute(page, "users-users_create")  # each with the example that the page offers
    _authorize(page, "eva", "una frase larga")
    sold = _execute(page, "ventas-ventas_create")
    summed = _execute(page, "resumen-resumen_show")

    assert [answer[:3] for answer in (registered, sold, summed)] == ["201", "201", "200"]
    assert '"importe": 150000' in summed


@pytest.mark.parametrize("path", ["/", "/problemas", "/user/verificar", "/login/restablecer"])
def test_pages_need_nothing_from_elsewhere(page, path):
    answer = page.goto(path)
    assert answer.status == 200
    assert page.locator("h1").inner_text()
