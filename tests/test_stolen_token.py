"""What outlives a stolen access token: each line of the table in docs/security.md, tried with that token alone."""

from collections.abc import Callable

import httpx
import pytest
from conftest import PASSWORD, client_of, log_in, problem
from second_factor import activate, enrol

from core.checkout import CHECKOUT

SECTION = (CHECKOUT / "docs" / "security.md").read_text("utf-8").split("## What outlives a stolen token")[1]
CALLS = [
    line.split(" | ")[0].removeprefix("| ")
    for line in SECTION.split("\n## ")[0].splitlines()
    if line[:3] == "| `"
]
SALE = {"venta": 5, "ventas_productos": 1}
Rows = Callable[..., list[tuple]]


@pytest.fixture
def thief(beto: httpx.Client, api: httpx.Client):
    """Who has Beto's access token, of another session than his own."""
    with client_of(str(api.base_url), headers={"Authorization": f"Bearer {log_in(api, 'beto')}"}) as client:
        yield client


def no_password_and_no_correo(thief, beto, api, rows: Rows) -> None:
    for change in ({"password": "otra clave larga"}, {"correo": "malo@example.com"}):
        for stated in ({}, {"password_actual": "adivinada"}):
            problem(thief.patch("/user/me", json=change | stated), 403, "password_actual_incorrecto")
    assert log_in(api, "beto@example.com")


def no_factor_and_no_key(thief, beto, api, rows: Rows) -> None:
    key = {"nombre": "Caja", "ambitos": ["ventas:leer"]}
    made = beto.post("/user/me/llaves", json=key | {"password_actual": PASSWORD}).json()["id"]
    for method, path, body in (
        ("POST", "/user/me/factor", {}),
        ("DELETE", "/user/me/factor", {}),
        ("POST", "/user/me/llaves", key),
        ("DELETE", f"/user/me/llaves/{made}", {}),
    ):
        problem(thief.request(method, path, json=body), 422, "datos_invalidos")
        guessed = body | {"password_actual": "adivinada"}
        problem(thief.request(method, path, json=guessed), 403, "password_actual_incorrecto")


def a_wait_for_codes(thief, beto, api, rows: Rows) -> None:
    enrol(beto)
    wrong = {"codigo": "123456"}
    assert [thief.post("/user/me/factor/confirmar", json=wrong).status_code for _ in range(6)] == [
        400
    ] * 5 + [429]
    assert log_in(api, "beto")


def no_secret(thief, beto, api, rows: Rows) -> None:
    secret, codes = activate(beto)
    key = {"nombre": "Caja", "ambitos": ["ventas:leer"], "password_actual": PASSWORD}
    made = beto.post("/user/me/llaves", json=key).json()["llave"]
    shown = beto.get("/user/me/factor").text + beto.get("/user/me/llaves").text
    assert not any(text in shown for text in (secret, made, *codes))


def a_name_that_the_owner_changes_back(thief, beto, api, rows: Rows) -> None:
    assert thief.patch("/user/me", json={"username": "malo"}).status_code == 200
    owner = {"Authorization": f"Bearer {log_in(api, 'beto@example.com')}"}
    assert api.patch("/user/me", json={"username": "beto"}, headers=owner).status_code == 200
    assert log_in(api, "beto")


def values_that_the_audit_has(thief, beto, api, rows: Rows) -> None:
    changes = {"nombre": "M", "apellido": "M", "telefono": "66", "direccion": "M"}
    assert thief.patch("/user/me", json=changes).status_code == 200
    [(before,)] = rows("SELECT antes FROM auditoria WHERE accion = 'usuario_actualizado'")
    assert before == {"nombre": "Beto", "apellido": "Paz", "telefono": "2604538424", "direccion": None}
    assert beto.patch("/user/me", json=before).status_code == 200


def the_account_is_gone(thief, beto, api, rows: Rows) -> None:
    assert thief.delete("/user/me").status_code == 200
    problem(beto.get("/user/me"), 401, "token_invalido")


def changed_sales_that_the_audit_has(thief, beto, api, rows: Rows) -> None:
    path = beto.post("/venta/", json=SALE).headers["location"]
    thief.patch(path, json={"venta": 6})
    thief.delete(path)
    found = rows("SELECT accion, antes ->> 'venta' FROM auditoria WHERE accion ~ '^venta' ORDER BY creacion")
    assert found == [("venta_actualizada", "5"), ("venta_eliminada", "6")]


def a_key_is_used(thief, beto, api, rows: Rows) -> None:
    key = {"Idempotency-Key": "la-de-beto"}
    assert thief.post("/venta/", json=SALE | {"venta": 6}, headers=key).status_code == 201
    problem(beto.post("/venta/", json=SALE, headers=key), 422, "clave_reutilizada")
    assert beto.post("/venta/", json=SALE, headers={"Idempotency-Key": "otra"}).status_code == 201


def the_owner_logs_in_again(thief, beto, api, rows: Rows) -> None:
    assert thief.delete("/login/sesiones").status_code == 200
    problem(beto.get("/user/me"), 401, "token_invalido")
    owner = {"Authorization": f"Bearer {log_in(api, 'beto')}"}
    assert thief.get("/user/me").status_code == 200
    assert api.delete("/login/sesiones", headers=owner).status_code == 200
    problem(thief.get("/user/me"), 401, "token_invalido")


def mails_to_the_owner_alone(thief, beto, api, rows: Rows) -> None:
    assert thief.post("/user/verificar/enviar").status_code == 202
    assert (
        api.post("/login/recuperar", json={"correo": "beto@example.com"}, headers=thief.headers).status_code
        == 202
    )
    assert rows("SELECT DISTINCT correo FROM enlace WHERE usuario_id = %s", beto.id) == [
        ("beto@example.com",)
    ]


def a_wait_for_guesses(thief, beto, api, rows: Rows) -> None:
    change = {"correo": "malo@example.com", "password_actual": "adivinada"}
    assert [thief.patch("/user/me", json=change).status_code for _ in range(21)] == [403] * 20 + [429]


def no_refresh_token(thief, beto, api, rows: Rows) -> None:
    for form in (
        {"grant_type": "refresh_token", "refresh_token": thief.headers["Authorization"].split()[1]},
        {"username": "beto", "password": "adivinada", "scope": "offline_access"},
    ):
        assert api.post("/login/", data=form, headers=thief.headers).status_code == 400
    assert PASSWORD not in thief.get("/user/me/datos").text


LASTS = {
    "`PATCH /user/me` `password`, `correo`": no_password_and_no_correo,
    "`POST`, `DELETE /user/me/factor`, `/user/me/llaves`": no_factor_and_no_key,
    "`POST /user/me/factor/confirmar`": a_wait_for_codes,
    "`GET /user/me/factor`, `/user/me/llaves`": no_secret,
    "`PATCH /user/me` `username`": a_name_that_the_owner_changes_back,
    "`PATCH /user/me` `nombre`, `apellido`, `telefono`, `direccion`": values_that_the_audit_has,
    "`DELETE /user/me`": the_account_is_gone,
    "`POST`, `PATCH`, `DELETE /venta/…`, imports": changed_sales_that_the_audit_has,
    "`POST` with an `Idempotency-Key`": a_key_is_used,
    "`DELETE /login/sesiones`": the_owner_logs_in_again,
    "`POST /user/verificar/enviar`, `POST /login/recuperar`": mails_to_the_owner_alone,
    "`PATCH /user/me` with wrong `password_actual`": a_wait_for_guesses,
    "`POST /login/`": no_refresh_token,
}


def test_the_table_has_every_line_that_is_tried():
    assert list(LASTS) == CALLS


@pytest.mark.parametrize("call", LASTS)
def test_it_lasts_as_the_table_says(call, thief, beto, api, rows):
    LASTS[call](thief, beto, api, rows)
