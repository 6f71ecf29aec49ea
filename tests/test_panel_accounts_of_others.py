"""An admin finds out in the panel why somebody's account cannot log in, and what was done to it."""

import pytest
from conftest import PASSWORD, new_user
from panel import go, log_in

pytestmark = pytest.mark.slow


def _attempts(api, times: int, password: str = "otra clave larga") -> list[int]:
    body = {"username": "beto", "password": password}
    return [api.post("/login/", data=body).status_code for _ in range(times)]


def _open_beto(page):
    log_in(page, "ana")
    go(page, "usuarios", "Usuarios")
    page.get_by_role("button", name="Abrir a Beto").click()
    return page.get_by_label("Accesos")


def test_too_many_wrong_passwords_are_told_and_stand_in_one_line(page, ana, api):
    api.post("/user/", json=new_user("beto"))
    assert _attempts(api, 22)[-1] == 429
    access = _open_beto(page)
    access.get_by_text(
        "Quizás no por un rato: en la última hora hubo 20 intentos con otra contraseña"
    ).wait_for()
    assert access.get_by_text("No pudo entrar: la contraseña no era la suya").count() == 1
    assert access.get_by_text("20 veces, la última hace un momento").is_visible()


def test_where_somebody_has_logged_in_before_they_wait_later(page, beto, api):
    assert _attempts(api, 21)[-1] == 400
    _open_beto(page).get_by_text("Sí, salvo que este servicio pida un correo verificado").wait_for()


def test_a_wrong_password_is_told(page, ana, beto, api):
    ana.patch(f"/user/{beto.id}", json={"estado": True})
    _attempts(api, 1)
    _open_beto(page).get_by_text("Sí, con su contraseña; la última vez escribió otra.").wait_for()


def test_a_service_that_asks_for_a_verified_correo_is_told(page, beto, connect):
    _attempts(connect(REQUIRE_VERIFIED="true"), 1, PASSWORD)
    _open_beto(page).get_by_text("No: este servicio pide un correo verificado").wait_for()


def test_what_was_changed_of_an_account_is_in_words(page, ana, beto):
    ana.patch(f"/user/{beto.id}", json={"bloqueado": True})
    ana.patch(f"/user/{beto.id}", json={"bloqueado": False, "telefono": 2604000000})
    access = _open_beto(page)
    access.get_by_text("Cuenta cambiada: desbloqueada, el teléfono").wait_for()
    assert access.get_by_text("Cuenta cambiada: bloqueada").is_visible()
    go(page, f"auditoria?afectado={beto.id}", "Auditoría")
    page.get_by_text("sin identificarse, a Beto Paz").first.wait_for()
