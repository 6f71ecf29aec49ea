"""What a password may be."""

import pytest
from conftest import PASSWORD, new_user, problem

COMMON = "es de las más usadas, y de las primeras que se prueban; elija otra"
OWN = "no puede ser el username ni el correo"
SHORT = "debe tener al menos 8 caracteres"
LONG = "debe tener como máximo 72 bytes en UTF-8"

REFUSED = {
    "1234567": SHORT,
    "ñ" * 37: LONG,
    " " * 9: "no puede ser solo espacios",
    "12345678": COMMON,
    "password1": COMMON,
    "PassWord1": COMMON,
    "iloveyou": COMMON,
    "carolina.paz": OWN,
    "Carolina.PAZ": OWN,
    "c.paz.1980@example.com": OWN,
    "c.paz.1980": OWN,
}
CAROLINA = new_user("carolina.paz", correo="c.paz.1980@example.com")


def _mensaje(answer) -> str:
    [error] = problem(answer, 422, "datos_invalidos")["errores"]
    assert error["campo"] == "password"
    return error["mensaje"]


@pytest.mark.parametrize("password", REFUSED)
def test_who_registers_is_told_why(api_of_all, unchanged, password):
    assert _mensaje(api_of_all.post("/user/", json=CAROLINA | {"password": password})) == REFUSED[password]


@pytest.mark.parametrize(
    "password", ["aaaaaaab", "correo batería grapa", "ñandú-90", "12345678 ", "密码密码密码密码"]
)
def test_nothing_more_is_asked(api, password):
    assert api.post("/user/", json=CAROLINA | {"password": password}).status_code == 201


@pytest.mark.parametrize("change", [{}, {"username": "norberto", "correo": "n@example.com"}])
def test_a_change_is_held_to_the_same(ana, change):
    renamed = {"username": "anabella", "correo": "anabella.paz@example.com", "password_actual": PASSWORD}
    assert ana.patch("/user/me", json=renamed).status_code == 200
    own = change.get("username", "anabella")

    for password, mensaje in (("12345678", COMMON), (own, OWN), ("corta", SHORT)):
        sent = change | {"password": password, "password_actual": PASSWORD}
        assert _mensaje(ana.patch("/user/me", json=sent)) == mensaje


def test_an_admin_is_held_to_the_same_for_others(ana, beto):
    beto.patch("/user/me", json={"username": "norberto"})

    assert _mensaje(ana.patch(f"/user/{beto.id}", json={"password": "norberto"})) == OWN
    assert _mensaje(ana.patch(f"/user/{beto.id}", json={"password": "password1"})) == COMMON


@pytest.mark.parametrize("password", ["123", "ana", "password"])
def test_where_shorter_ones_are_allowed_so_are_common_ones(connect, password):
    api = connect(PASSWORD_MIN_LENGTH="3")

    assert api.post("/user/", json=new_user("ana", password=password)).status_code == 201
