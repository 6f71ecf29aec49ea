"""What a cluster is sent instead of statements for many does the same; here to a plain PostgreSQL."""

import pytest
from conftest import log_in
from second_factor import activate, code, first_step, second_step

from core.database import pool, routes

NODE = "SELECT n, key % 2 FROM unnest(%(key)s::bigint[]) WITH ORDINALITY AS asked (key, n)"
NEW = {"venta": 100, "ventas_productos": 1}


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHARDED", "SELECT true")
    monkeypatch.setattr(routes, "NODE", NODE)


def test_a_sale_is_made_read_changed_and_deleted(beto, carla):
    place = beto.post("/venta/", json=NEW).headers["location"]

    assert beto.get(place).json()["venta"] == 100
    assert beto.patch(place, json={"venta": 200}).status_code == 200
    assert carla.get(place).json()["codigo"] == "venta_inexistente"
    assert beto.delete(place).status_code == 200
    assert beto.get(place).status_code == 404


def test_an_admin_reads_a_sale_of_any_owner(ana, beto):
    place = beto.post("/venta/", json=NEW).headers["location"]

    assert ana.get(place).json()["usuario_id"] == 2


def test_a_sale_of_nobody_is_refused(ana):
    assert ana.post("/venta/", json=NEW | {"usuario_id": 99}).json()["codigo"] == "usuario_inexistente"


def test_a_sale_of_a_deleted_account_is_refused(ana, beto, rows):
    rows("INSERT INTO eliminacion (usuario_id) VALUES (2)")

    assert ana.post("/venta/", json=NEW | {"usuario_id": 2}).json()["codigo"] == "usuario_inexistente"


def test_a_key_gives_the_first_answer_again(beto, rows):
    key = {"Idempotency-Key": "una"}
    first, second = (beto.post("/venta/", json=NEW, headers=key) for _ in range(2))

    assert first.text == second.text
    assert second.headers["idempotent-replayed"] == "true"
    assert rows("SELECT count(*) FROM venta") == [(1,)]


def test_a_list_is_of_one_users_sales_newest_first(beto, carla):
    for sales in (beto, carla, beto):
        sales.post("/venta/", json=NEW)

    assert [sale["id"] for sale in beto.get("/venta/").json()] == [3, 1]


def test_a_login_is_recorded_and_a_wrong_password_refused(ana, api, rows):
    log_in(api, "ana")

    [(who, affected)] = rows("SELECT DISTINCT usuario_id, afectado_id FROM auditoria WHERE accion = 'login'")
    assert (who, affected) == (1, 1)
    form = {"username": "ana", "password": "no es esta clave"}
    assert api.post("/login/", data=form).json()["detail"] == "Usuario o contraseña incorrectos"


def test_an_ended_session_is_no_good(beto):
    beto.delete("/login/sesiones?todas=true")

    assert beto.get("/user/me").status_code == 401


@pytest.mark.parametrize("recovery", [False, True])
def test_a_code_logs_in_once_and_is_recorded(ana, beto, api, rows, recovery):
    secret, recoveries = activate(beto)
    otp = recoveries[0] if recovery else code(secret, seconds=30)

    first, second = (second_step(api, first_step(api, "beto"), otp) for _ in range(2))

    assert (first.status_code, second.json()["codigo"]) == (200, "codigo_invalido"), second.text
    recorded = rows(
        "SELECT despues ->> 'factor' FROM auditoria WHERE accion = 'login' AND despues ? 'factor'"
    )
    assert recorded == [("recuperacion" if recovery else "codigo",)]
