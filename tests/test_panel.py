"""The panel in a real browser: its story; nothing complains, nothing leaves the machine."""

import hashlib
import json

import browsers
import pytest
from conftest import PASSWORD

from core.checkout import CHECKOUT

WEB = CHECKOUT / "web"

pytestmark = pytest.mark.skipif(browsers.CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def chromium():
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def browser(chromium, api):
    """A person's browser: its own storage, Buenos Aires' clock, silent to the end."""
    context = chromium.new_context(
        base_url=str(api.base_url), locale="es-AR", timezone_id="America/Argentina/Buenos_Aires"
    )
    watched = browsers.Watched(context, api.base_url.netloc.decode())
    yield context
    context.close()
    watched.silent()


@pytest.fixture
def page(browser):
    return browser.new_page()


def log_in(page, username: str, password: str = PASSWORD) -> None:
    page.goto("/panel")
    page.get_by_label("Usuario o correo").fill(username)
    page.get_by_label("Contraseña", exact=True).fill(password)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("heading", name="Ventas").wait_for()


def sell(page, amount: str, products: str = "1") -> None:
    page.get_by_role("button", name="Nueva venta").click()
    page.get_by_role("dialog").get_by_label("Importe").fill(amount)
    page.get_by_role("dialog").get_by_label("Productos").fill(products)
    page.get_by_role("button", name="Guardar la venta").click()
    page.get_by_role("dialog").wait_for(state="detached")


def test_a_sale_is_added_seen_corrected_and_deleted(page, beto):
    log_in(page, "beto")
    page.get_by_text("No hay ventas en este período").wait_for()

    sell(page, "1.500,50", "3")
    page.get_by_role("cell", name="$ 1.500,50", exact=True).wait_for()
    assert beto.get("/venta/").json()[0]["venta"] == 150050

    page.get_by_role("button", name="Editar la venta de $ 1.500,50").click()
    page.get_by_role("dialog").get_by_label("Importe").fill("1.400")
    page.get_by_role("button", name="Guardar los cambios").click()
    page.get_by_role("cell", name="$ 1.400,00", exact=True).wait_for()

    page.get_by_role("button", name="Eliminar la venta de $ 1.400,00").click()
    page.get_by_role("button", name="Deshacer").click()
    page.get_by_role("cell", name="$ 1.400,00", exact=True).wait_for()
    assert len(beto.get("/venta/").json()) == 1


def test_vendored_libraries_are_what_the_manifest_says():
    manifest = json.loads((WEB / "vendor" / "manifest.json").read_text())
    assert {file.name for file in (WEB / "vendor").glob("*.js")} == manifest.keys()
    for name, facts in manifest.items():
        assert hashlib.sha256((WEB / "vendor" / name).read_bytes()).hexdigest() == facts["sha256"], name
        assert (WEB / "vendor" / f"{facts['package']}.LICENSE").read_text(), name


def test_its_policy_lets_only_its_own_files_run(api):
    policy = api.get("/panel").headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types 'none'"):
        assert rule in policy.split("; ")
