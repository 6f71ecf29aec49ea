"""The panel's whole story in a real browser: on a desk and a phone, by mouse and by keyboard alone."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import browsers
import pytest
from conftest import PASSWORD
from conftest import log_in as token_of
from panel import amount, go, log_in, sell

HERE = ZoneInfo("America/Argentina/Buenos_Aires")
PHONE = {"viewport": browsers.PHONE, "color_scheme": "dark", "has_touch": True}

pytestmark = pytest.mark.slow


@pytest.fixture
def api(connect, postbox):
    return connect(MAIL_URL=postbox.url)


def _sheet(*rows: str) -> dict[str, object]:
    text = "\n".join(["Venta;Ventas_Productos;Creacion", *rows])
    return {"name": "ventas.csv", "mimeType": "text/csv", "buffer": text.encode()}


def test_a_newcomer_registers_imports_and_reads_this_month_against_last(page, ana, api):
    """With an error on the way: nothing is kept, and the line is named."""
    today = datetime.now(HERE)
    before = today.replace(day=1) - timedelta(days=1)
    before = before.replace(day=min(before.day, today.day))
    page.goto("/panel")
    page.get_by_role("link", name="Regístrese").click()
    for label, text in {
        "Nombre": "Eva", "Apellido": "Ruiz", "Usuario": "eva", "Correo": "eva@example.com",
        "Teléfono": "260 453-8424", "Contraseña": "una frase larga",
    }.items():  # fmt: skip
        page.get_by_label(label, exact=True).fill(text)
    page.get_by_role("button", name="Crear la cuenta").click()
    page.get_by_text("No hay ventas en este período").wait_for()

    page.get_by_role("link", name="Importar", exact=True).click()
    good = [f"1.500,50;3;{today:%d/%m/%Y} 00:05", f"1.000,00;1;{before:%d/%m/%Y} 00:05"]
    page.locator("input[type=file]").set_input_files(_sheet(*good, "mucho;1;31/01/2026 22:15"))
    page.get_by_role("cell", name="$ 1.500,50").wait_for()
    page.get_by_text("«mucho» no se entiende").wait_for()
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_text("No se guardó nada.").wait_for()
    assert page.get_by_label("Errores por línea").get_by_role("cell").first.inner_text() == "4"

    page.locator("input[type=file]").set_input_files(_sheet(*good))
    page.get_by_text("2 filas en total.", exact=True).wait_for()
    page.get_by_role("button", name="Comprobar sin guardar").click()
    page.get_by_text("No se guardó nada todavía").wait_for()
    page.get_by_role("button", name="Importar", exact=True).click()
    page.get_by_role("link", name="Ver las ventas").click()

    sums = page.get_by_label("Resumen").get_by_role("definition")
    sums.get_by_text("$ 1.500,50").first.wait_for()
    sums.get_by_text("antes $ 1.000,00").first.wait_for()
    sums.get_by_text("+50,1%").first.wait_for()


def test_it_corrects_a_sale_that_somebody_else_changed(page, beto):
    id = beto.post("/venta/", json={"venta": 100000, "ventas_productos": 1}).json()["id"]
    log_in(page, "beto")
    page.get_by_role("button", name="Editar la venta de $ 1.000,00").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Importe").fill("1.200")
    beto.patch(f"/venta/{id}", json={"venta": 110000})
    form.get_by_role("button", name="Guardar los cambios").click()

    form.get_by_text("Otra persona cambió esta venta").wait_for()
    assert form.get_by_role("cell", name="$ 1.100,00").is_visible()
    form.get_by_role("button", name="Guardar lo mío").click()
    amount(page, "$ 1.200,00")
    assert beto.get(f"/venta/{id}").json()["venta"] == 120000


def test_a_deletion_that_nobody_undoes_happens(page, beto):
    beto.post("/venta/", json={"venta": 100000, "ventas_productos": 1})
    log_in(page, "beto")
    page.get_by_role("button", name="Eliminar la venta de $ 1.000,00").click()
    page.get_by_text("Venta de $ 1.000,00 eliminada").wait_for()
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        go(page, "importar", "Importar ventas")
    assert beto.get("/venta/").json() == []


def test_a_lost_phones_session_is_ended_from_the_desk(chromium, page, beto, api):
    url = str(api.base_url).rstrip("/")
    with browsers.person(
        chromium, url, **PHONE, user_agent="Mozilla/5.0 (Linux; Android 14) Chrome/140.0"
    ) as phone:
        lost = phone.new_page()
        log_in(lost, "beto")
        log_in(page, "beto")
        go(page, "cuenta/sesiones", "Mi cuenta")
        page.get_by_role("button", name="Terminar la sesión de Chrome en Android").click()
        page.get_by_text("Sesión terminada").wait_for()
        lost.get_by_role("heading", name="Iniciar sesión").wait_for(timeout=15_000)
        assert lost.get_by_text("Beto Paz").count() == 0


def test_an_admin_finds_why_an_account_cannot_get_in(page, ana, beto, api):
    ana.patch(f"/user/{beto.get('/user/me').json()['id']}", json={"bloqueado": True})
    api.post("/login/", data={"username": "beto", "password": PASSWORD})
    log_in(page, "ana")
    page.get_by_role("link", name="Usuarios").click()
    page.get_by_role("row", name="beto").get_by_text("bloqueado").wait_for()
    page.get_by_role("button", name="Abrir a Beto Paz").click()
    page.get_by_text("No: un admin bloqueó la cuenta.").wait_for()
    page.get_by_role("button", name="Desbloquear").click()
    page.get_by_role("button", name="Desbloquear a beto").click()
    page.get_by_text("Sí, ").wait_for()
    assert token_of(api, "beto")


def test_an_admin_sees_the_best_sellers_the_audit_and_the_system(page, ana, beto, carla):
    beto.post("/venta/", json={"venta": 100000, "ventas_productos": 1})
    carla.post("/venta/", json={"venta": 900000, "ventas_productos": 1})
    log_in(page, "ana")
    go(page, "vendedores", "Vendedores")
    page.get_by_role("link", name="Carla Paz").wait_for()
    rows = page.get_by_label("Vendedores").get_by_role("row")
    assert "Carla Paz" in rows.nth(1).inner_text()
    page.get_by_role("link", name="Carla Paz").click()
    amount(page, "$ 9.000,00")
    assert page.get_by_role("cell", name="$ 1.000,00", exact=True).count() == 0

    go(page, "auditoria", "Auditoría")
    page.get_by_label("Qué").select_option("Cuenta creada")
    page.get_by_text("Cuenta creada").nth(2).wait_for()
    go(page, "sistema", "Sistema")
    page.get_by_text("Todo funciona.").wait_for()


def test_by_keyboard_alone(page, beto):
    """No pointer: a login, a sale, the chart's figures, the deletion and its undoing."""
    page.goto("/panel")
    page.get_by_role("heading", name="Iniciar sesión").wait_for()
    press = page.keyboard.press
    press("Tab")
    page.keyboard.type("beto")
    press("Tab")
    page.keyboard.type(PASSWORD)
    press("Enter")
    page.get_by_role("heading", name="Ventas").wait_for()

    _tab_to(page, "Nueva venta")
    press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.type("250,5")
    press("Enter")
    amount(page, "$ 250,50")
    assert page.evaluate("document.activeElement.innerText") == "Nueva venta"

    _tab_to(page, "Importe por día; las flechas recorren los períodos")
    press("ArrowLeft")
    page.locator(".tip").get_by_text("$ 250,50").wait_for()
    press("Escape")
    _tab_to(page, "Eliminar la venta de $ 250,50")
    press("Enter")
    page.get_by_role("button", name="Deshacer").wait_for()
    _tab_to(page, "Deshacer")
    press("Enter")
    amount(page, "$ 250,50")


def _tab_to(page, name: str, most: int = 60) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        said = page.evaluate(
            "document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText ?? ''"
        )
        if said.replace("\xa0", " ").strip().startswith(name):
            return
    raise AssertionError(f"{name} is not reached by Tab")


def test_tabs_share_one_session_and_one_refresh(browser, beto):
    first, second = browser.new_page(), browser.new_page()
    log_in(first, "beto")
    second.goto("/panel")
    second.get_by_role("heading", name="Ventas").wait_for()
    refreshes = []
    browser.on(
        "request",
        lambda asked: refreshes.append(1) if "grant_type=refresh" in (asked.post_data or "") else None,
    )
    renew = """async () => {
        const main = document.querySelector('script[type=module]').src;
        const session = await import(main.replace('main.js', 'session.js'));
        return session.renew(session.token());
    }"""
    first.evaluate(f"window.renewed = ({renew})()")
    second.evaluate(renew)
    first.evaluate("window.renewed")
    assert len(refreshes) <= 2
    sell(first, "10")
    second.reload()
    amount(second, "$ 10,00")
    first.get_by_role("button", name="Salir").click()
    second.get_by_role("heading", name="Iniciar sesión").wait_for()


@pytest.mark.parametrize("keep", [False, True])
def test_a_reload_keeps_the_login(page, beto, keep):
    log_in(page, "beto", keep=keep)
    page.reload()
    page.get_by_role("heading", name="Ventas").wait_for()


def test_the_account_is_changed_by_its_owner(page, beto, api, postbox):
    log_in(page, "beto")
    go(page, "cuenta/perfil", "Mi cuenta")
    page.get_by_label("Dirección").fill("San Martín 123")
    page.get_by_role("button", name="Guardar").click()
    page.get_by_text("Datos guardados").wait_for()
    assert beto.get("/user/me").json()["direccion"] == "San Martín 123"

    go(page, "cuenta/seguridad", "Mi cuenta")
    form = page.get_by_label("Contraseña", exact=True).locator("form")
    form.get_by_label("Contraseña actual").fill("no es esta")
    form.get_by_label("Contraseña nueva").fill("otra frase larga")
    form.get_by_role("button", name="Cambiar").click()
    form.get_by_role("alert").wait_for()
    form.get_by_label("Contraseña actual").fill(PASSWORD)
    form.get_by_role("button", name="Cambiar").click()
    page.get_by_text("Contraseña cambiada").wait_for()
    token_of(api, "beto", "otra frase larga")

    go(page, "cuenta/datos", "Mi cuenta")
    page.get_by_role("button", name="Eliminar mi cuenta…").click()
    page.get_by_label("Para confirmar, escriba su usuario: beto").fill("beto")
    page.get_by_role("button", name="Eliminar para siempre").click()
    page.get_by_role("heading", name="Iniciar sesión").wait_for()


def test_what_is_exported_is_the_list(page, beto):
    beto.post("/venta/", json={"venta": 150050, "ventas_productos": 3})
    log_in(page, "beto")
    page.get_by_role("button", name="Exportar").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Descargar").click()
    assert "1500,50" in download.value.path().read_text("utf-8-sig").replace("1.500,50", "1500,50")


@pytest.mark.parametrize("place", ["ventas", "importar", "cuenta/perfil", "usuarios", "auditoria", "sistema"])
def test_it_fits_a_phone(chromium, ana, api, place):
    url = str(api.base_url).rstrip("/")
    with browsers.person(chromium, url, **PHONE) as phone:
        page = phone.new_page()
        log_in(page, "ana")
        page.goto(f"/panel#/{place}")
        page.locator("[aria-busy=false], .rows, .drop, tbody tr").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == browsers.PHONE["width"]
