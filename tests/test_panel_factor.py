"""The panel's second factor and API keys: set up, used to log in, lost, made and revoked."""

import pytest
from conftest import PASSWORD
from panel import go, log_in
from second_factor import PASSWORD_ACTUAL, activate, code, enrol, first_step, read_qr

pytestmark = pytest.mark.slow

DECODED = "(image) => decodeURIComponent(image.src.slice(image.src.indexOf(',') + 1))"


def state_password(page) -> None:
    page.get_by_label("Contraseña actual").last.fill(PASSWORD)


def test_a_person_sets_it_up_with_the_qr_and_logs_in_with_it(browser, beto, api):
    page = browser.new_page()
    log_in(page, "beto")
    go(page, "cuenta/seguridad", "Mi cuenta")
    page.get_by_role("button", name="Configurar el segundo factor").click()
    state_password(page)
    page.get_by_role("button", name="Seguir").click()
    secret = page.locator("section[aria-label='Segundo factor'] code").inner_text()
    picture = page.get_by_alt_text("Código QR del segundo factor")
    assert f"secret={secret}" in read_qr(picture.evaluate(DECODED))
    assert picture.evaluate("(image) => image.naturalWidth") > 0

    page.get_by_label("Código que muestra la aplicación").fill(code(secret))
    page.get_by_role("button", name="Activar").click()
    page.get_by_text("El segundo factor está activo.").wait_for()
    codes = page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("button", name="Ya los guardé").click()
    page.get_by_text("Quedan 10 códigos de recuperación.").wait_for()

    other = browser.new_page()
    other.goto("/panel#/salir")
    assert first_step(api, "beto")


def log_in_with(page, otp: str) -> None:
    page.goto("/panel")
    page.get_by_label("Usuario o correo").fill("beto")
    page.get_by_label("Contraseña", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("heading", name="Segundo paso").wait_for()
    page.get_by_label("Código").fill(otp)
    page.get_by_role("button", name="Entrar").click()


def test_a_login_asks_for_the_code_and_says_what_is_wrong_with_it(browser, beto):
    secret, _ = activate(beto)
    page = browser.new_page()
    log_in_with(page, "000 000")
    page.get_by_text("El código no es válido o ya se usó; espere el siguiente").wait_for()

    page.get_by_label("Código").fill(code(secret, seconds=30))
    page.get_by_role("button", name="Entrar").click()
    page.get_by_role("heading", name="Ventas").wait_for()


def test_a_recovery_code_logs_in_too_and_then_the_factor_is_taken_away(browser, beto, api):
    _, codes = activate(beto)
    page = browser.new_page()
    log_in_with(page, codes[0].upper())
    page.get_by_role("heading", name="Ventas").wait_for()

    go(page, "cuenta/seguridad", "Mi cuenta")
    page.get_by_text("Quedan 9 códigos de recuperación.").wait_for()
    page.get_by_role("button", name="Quitarlo…").click()
    state_password(page)
    page.get_by_role("button", name="Quitar el segundo factor").click()
    page.get_by_role("button", name="Configurar el segundo factor").wait_for()
    assert beto.get("/user/me/factor").json()["activo"] is False


def test_an_admin_takes_it_from_who_lost_everything(browser, ana, beto):
    activate(beto)
    page = browser.new_page()
    log_in(page, "ana")
    go(page, "usuarios", "Usuarios")
    page.get_by_role("button", name="Beto Paz").click()
    page.get_by_role("button", name="Quitar su segundo factor…").click()
    page.get_by_label("Su propia contraseña").fill(PASSWORD)
    page.get_by_role("button", name="Quitar el segundo factor a beto").click()
    page.get_by_text("Segundo factor quitado").wait_for()
    assert enrol(beto)


def test_a_key_is_made_shown_once_and_revoked(browser, beto, api):
    page = browser.new_page()
    log_in(page, "beto")
    go(page, "cuenta/llaves", "Mi cuenta")
    page.get_by_text("Todavía no hay llaves").wait_for()
    page.get_by_role("button", name="Nueva llave").click()
    page.get_by_label("Nombre").fill("Caja 2")
    page.get_by_label("Crear ventas").check()
    state_password(page)
    page.get_by_role("button", name="Crear la llave").click()
    key = page.locator(".secret-text").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    assert api.post("/venta/", json={"venta": 5, "ventas_productos": 1}, headers=headers).status_code == 201
    page.get_by_role("button", name="Ya la guardé").click()
    assert key not in page.content()

    page.get_by_role("button", name="Revocar la llave Caja 2").click()
    state_password(page)
    page.get_by_role("button", name="Revocar Caja 2").click()
    page.get_by_text("Todavía no hay llaves").wait_for()
    assert api.post("/venta/", json={"venta": 5, "ventas_productos": 1}, headers=headers).status_code == 401
    assert beto.post("/user/me/factor", json=PASSWORD_ACTUAL).status_code == 200
