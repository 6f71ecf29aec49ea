"""A browser without a screen: the story of /docs, the pages of mailed links; nothing complains, nothing leaves."""

import browsers
import pytest
from conftest import PASSWORD, log_in

CSV = b"venta,ventas_productos\n150000,2\n99900,1\n"
PHONE = browsers.PHONE


@pytest.fixture
def api(connect, postbox):
    return connect(MAIL_URL=postbox.url)


def _send(page, operation: str, *, link: str | None = None, file: bytes | None = None) -> str:
    """Tries an operation out, opened by a click on it, or on the introduction's link; returns status and body."""
    block = page.locator(f"#{operation}")
    if link:
        page.get_by_label("En dos minutos").get_by_role("link", name=link, exact=True).click()
    else:
        block.get_by_role("button").first.click()
    if file is not None:
        upload = {"name": "ventas.csv", "mimeType": "text/csv", "buffer": file}
        block.get_by_label("Archivo").set_input_files(upload)
    block.get_by_role("button", name="Enviar").click()
    block.locator(".came .body").wait_for()
    return block.locator(".came").inner_text()


def _log_in(page, username: str, password: str) -> None:
    page.get_by_label("Usuario o correo").fill(username)
    page.get_by_label("Contraseña").fill(password)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_text(f"Las llamadas van como {username}").wait_for()


def _width(page) -> int:
    """How wide what the page shows is, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth")


def test_log_in_read_and_import_a_file(page, ana):
    page.goto("/docs")
    _log_in(page, "ana", PASSWORD)

    assert '"username": "ana"' in _send(page, "users_index")
    imported = _send(page, "bulk_load", file=CSV)
    assert imported.startswith("201")
    assert '"filas": 2' in imported

    page.reload()
    page.get_by_text("Las llamadas van como ana").wait_for()


def test_the_story_from_the_page_alone(page):
    """Each step by its link, with the example that the page offers."""
    page.goto("/docs")

    registered = _send(page, "users_create", link="POST /user/")
    _log_in(page, "eva", "una frase larga")
    sold = _send(page, "ventas_create", link="POST /venta/")
    imported = _send(page, "bulk_load", link="POST /venta/importar")
    summed = _send(page, "resumen_show", link="GET /venta/resumen")
    listed = _send(page, "ventas_index", link="GET /venta/")

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
    assert _send(page, "users_create", link="POST /user/").startswith("201")
    assert _width(page) == PHONE["width"]


@pytest.mark.parametrize(
    "path", ["/", "/docs#/users/users_create", "/problemas", "/login/restablecer#x", "/nada"]
)
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_axe_finds_no_barrier(page, path, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(path)
    page.get_by_role("heading", level=1).wait_for()
    assert browsers.barriers(page) == []


def test_the_problems_can_be_filtered(page):
    page.goto("/problemas")
    page.get_by_label("Filtrar").fill("sesion inexistente")
    page.get_by_role("status").get_by_text("1 de ").wait_for()
    assert page.get_by_role("heading", level=2).count() == 1


def test_an_unknown_address_in_a_browser_is_a_page(page):
    answer = page.goto("/nada")
    assert answer.status == 404
    assert page.get_by_role("heading", name="No existe esta página").is_visible()
    page.get_by_role("link", name="Ir al panel").click()
    page.get_by_role("heading", name="Iniciar sesión").wait_for()
