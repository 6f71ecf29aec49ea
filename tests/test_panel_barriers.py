"""axe-core finds no barrier in any place and state of the panel, on a desk in light and on a phone in dark."""

import browsers
import pytest
from conftest import PASSWORD
from panel import go, log_in

pytestmark = pytest.mark.slow

DEVICES = {
    "desk": {"viewport": browsers.DESK, "color_scheme": "light"},
    "phone": {"viewport": browsers.PHONE, "color_scheme": "dark"},
}
PLACES = {
    "ventas": "Ventas",
    "ventas?periodo=anio&por=mes": "Ventas",
    "ventas?periodo=elegir&desde=2020-01-01&hasta=2020-01-31&minimo=x": "Ventas",
    "importar": "Importar ventas",
    "cuenta/perfil": "Mi cuenta",
    "cuenta/seguridad": "Mi cuenta",
    "cuenta/sesiones": "Mi cuenta",
    "cuenta/llaves": "Mi cuenta",
    "cuenta/datos": "Mi cuenta",
    "vendedores": "Vendedores",
    "usuarios": "Usuarios",
    "usuarios?q=nadie": "Usuarios",
    "auditoria": "Auditoría",
    "sistema": "Sistema",
    "nada": "No existe esta página",
}


@pytest.fixture(params=DEVICES)
def page(request, chromium, api):
    url = str(api.base_url).rstrip("/")
    with browsers.person(chromium, url, **DEVICES[request.param]) as context:
        yield context.new_page()


def test_before_a_session(page, ana):
    page.goto("/panel")
    page.get_by_role("button", name="Entrar").click()
    page.get_by_text("Complete este campo").first.wait_for()
    assert browsers.barriers(page) == []
    page.get_by_label("Usuario o correo").fill("ana")
    page.get_by_label("Contraseña", exact=True).fill("no es esta")
    page.get_by_role("button", name="Entrar").click()
    page.get_by_text("Usuario o contraseña incorrectos").wait_for()
    assert browsers.barriers(page) == []
    for link, heading in {"Regístrese": "Crear una cuenta", "Olvidé": "Recuperar la cuenta"}.items():
        page.goto("/panel")
        page.get_by_role("link", name=link).click()
        page.get_by_role("heading", name=heading).wait_for()
        assert browsers.barriers(page) == []


def test_in_every_place(page, ana, carla):
    ana.patch("/user/me", json={"nombre": "A" * 60, "apellido": "Ñandú " * 6})
    for n in range(3):
        carla.post("/venta/", json={"venta": 10**15 - n, "ventas_productos": 10**6})
    log_in(page, "ana")
    for place, heading in PLACES.items():
        go(page, place, heading)
        page.locator(".skeleton, [aria-busy=true]").first.wait_for(state="detached")
        assert browsers.barriers(page) == [], place
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place


def test_in_every_dialog(page, ana):
    ana.post("/venta/", json={"venta": 150050, "ventas_productos": 1})
    log_in(page, "ana")
    for name in ("Nueva venta", "Exportar", "Editar la venta"):
        page.get_by_role("button", name=name).first.click()
        page.get_by_role("dialog").locator("form").wait_for()
        assert browsers.barriers(page) == [], name
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    page.locator(".chart summary").click()
    page.locator(".chart .frame").hover()
    assert browsers.barriers(page) == []

    sheet = {"name": "v.csv", "mimeType": "text/csv", "buffer": b"venta,ventas_productos\nmucho,1\n1,1\n"}
    go(page, "importar", "Importar ventas")
    page.locator("input[type=file]").set_input_files(sheet)
    page.get_by_text("no se entiende").first.wait_for()
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("No se guardó nada.").wait_for()
    assert browsers.barriers(page) == []

    go(page, "usuarios", "Usuarios")
    page.get_by_role("button", name="Abrir a").first.click()
    page.get_by_text("¿Puede entrar?").wait_for()
    assert browsers.barriers(page) == []


def test_when_the_session_ended_with_a_form_half_filled(page, beto, api):
    log_in(page, "beto")
    page.get_by_role("button", name="Nueva venta").click()
    page.get_by_role("dialog").get_by_label("Importe").fill("77,70")
    beto.delete("/login/sesiones?todas=true")
    page.get_by_text("Inicie sesión para seguir donde estaba.").wait_for(timeout=15_000)
    assert browsers.barriers(page) == []
    page.get_by_label("Contraseña", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    assert page.get_by_role("dialog").get_by_label("Importe").input_value() == "77,70"
