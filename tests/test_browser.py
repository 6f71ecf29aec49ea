"""A browser without a screen: the story of /docs, the pages of mailed links; nothing complains, nothing leaves."""

import json
import shutil

import pytest
from conftest import PASSWORD, log_in, new_user

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
PHONE = {"width": 390, "height": 844}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def api(connect, postbox):
    return connect(MAIL_URL=postbox.url)


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


def _execute(page, operation: str, body: str | None = None, *, link: str | None = None) -> str:
    """Tries an operation out; returns what the page shows of the answer: its status and body.

    It opens by a click on it, or on the introduction's link."""
    block = page.locator(f"#operations-{operation}")
    if link:
        page.locator(".info").get_by_role("link", name=link, exact=True).click()
    else:
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


def _width(page) -> int:
    """How wide what the page shows is, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth")


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
    """Each step by its link, with the example that the page offers."""
    page.goto("/docs")

    registered = _execute(page, "users-users_create", link="POST /user")
    _authorize(page, "eva", "una frase larga")
    sold = _execute(page, "ventas-ventas_create", link="POST /venta")
    imported = _execute(page, "bulk-bulk_load", link="POST /venta/importar")
    summed = _execute(page, "resumen-resumen_show", link="GET /venta/resumen")
    listed = _execute(page, "ventas-ventas_index", link="GET /venta")

    answers = [registered, sold, imported, summed, listed]
    assert [answer[:3] for answer in answers] == ["201", "201", "201", "200", "200"]
    assert '"importe": 399900' in summed
    assert listed.count('"usuario_id"') == 3


def test_mailed_links_open_pages_that_do_what_they_say(page, ana, api, postbox):
    said = page.get_by_role("status")

    page.goto(f"/user/verificar#{postbox.token()}")
    page.get_by_role("button", name="Verificar").click()
    said.get_by_text("Correo verificado correctamente").wait_for()

    api.post("/login/recuperar", json={"correo": "ana@example.com"})
    page.goto(f"/login/restablecer#{postbox.token()}")
    page.get_by_label("Contraseña nueva").fill("otra frase larga")
    page.get_by_role("button", name="Cambiar").click()
    said.get_by_text("Contraseña cambiada correctamente").wait_for()
    log_in(api, "ana", "otra frase larga")

    page.goto("/login/restablecer")
    assert said.inner_text() == "Falta el código: abra el enlace entero, como llegó por correo"
    assert not page.get_by_role("button").is_visible()


@pytest.mark.parametrize("path", ["/", "/problemas", "/user/verificar", "/login/restablecer"])
def test_pages_need_nothing_from_elsewhere(page, path):
    answer = page.goto(path)
    assert answer.status == 200
    assert page.locator("h1").inner_text()


@pytest.mark.parametrize("path", ["/", "/problemas", "/login/restablecer#x"])
def test_a_page_fits_a_phone(page, path):
    page.set_viewport_size(PHONE)
    page.goto(path)
    assert _width(page) == PHONE["width"]


def test_an_open_call_fits_a_phone(page):
    page.set_viewport_size(PHONE)
    page.goto("/docs")
    assert _execute(page, "users-users_create", json.dumps(new_user("beto")), link="POST /user").startswith(
        "201"
    )
    assert _width(page) == PHONE["width"]
