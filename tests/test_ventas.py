"""Recording, reading, changing and deleting sales, and whose they may be."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from conftest import problem

JSON = {"Content-Type": "application/json"}
SALE = {"venta": 150000, "ventas_productos": 3}


def sell(client, **fields) -> int:
    answer = client.post("/venta/", json=SALE | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.mark.parametrize("path", ["/venta/", "/venta"])
def test_a_user_records_a_sale_of_their_own(beto, path):
    answer = beto.post(path, json=SALE)

    assert answer.status_code == 201
    id = answer.json()["id"]
    assert answer.json() == {"respuesta": "Venta creada correctamente", "id": id}
    assert answer.headers["location"] == f"/venta/{id}"
    sale = beto.get(answer.headers["location"]).json()
    made = datetime.fromisoformat(sale.pop("creacion"))
    assert sale == {"id": id, "usuario_id": beto.id, "venta": 150000, "ventas_productos": 3}
    assert datetime.now(UTC) - made < timedelta(minutes=1)


def test_the_owner_may_be_named_or_null(beto):
    for usuario_id in (beto.id, None):
        assert beto.get(f"/venta/{sell(beto, usuario_id=usuario_id)}").json()["usuario_id"] == beto.id


def test_an_admin_records_a_sale_of_anyones(ana, beto):
    assert beto.get(f"/venta/{sell(ana, usuario_id=beto.id)}").json()["usuario_id"] == beto.id


def test_nobody_else_may(beto, carla, rows):
    for id in (carla.id, 999):
        problem(beto.post("/venta/", json=SALE | {"usuario_id": id}), 403, "sin_permiso")
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_a_sale_of_nobodys_is_refused(ana, rows):
    body = problem(ana.post("/venta/", json=SALE | {"usuario_id": 999}), 404, "usuario_inexistente")

    assert body["detail"] == "No existe el usuario con el id 999"
    assert rows("SELECT count(*) FROM venta") == [(0,)]


@pytest.mark.parametrize(
    "sale", [{"venta": 0, "ventas_productos": 1}, {"venta": 10**15, "ventas_productos": 10**6}]
)
def test_the_limits_are_allowed(beto, sale):
    assert sale.items() <= beto.get(f"/venta/{sell(beto, **sale)}").json().items()


@pytest.mark.parametrize(
    ("campo", "value"),
    [
        ("venta", value)
        for value in ("-1", str(10**15 + 1), str(10**30), "1e999999999", "1.5", '"5"', "null", "true", "[]")
    ]
    + [("ventas_productos", value) for value in ("0", "-1", str(10**6 + 1), str(2**63), "1.5", '"٣"', "null")]
    + [("usuario_id", value) for value in ("0", "-1", str(2**63), '"1"', "1.5")],
)
def test_a_bad_field_is_named(beto_of_all, rows_of_all, campo, value):
    fields = {name: json.dumps(known) for name, known in SALE.items()} | {campo: value}
    body = "{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}"

    errores = problem(beto_of_all.post("/venta/", content=body, headers=JSON), 422, "datos_invalidos")[
        "errores"
    ]

    assert [error["campo"] for error in errores] == [campo]
    assert errores[0]["mensaje"].startswith("debe ser ")
    assert rows_of_all("SELECT count(*) FROM venta") == [(0,)]


@pytest.mark.parametrize("number", ["150000.0", "1.5e5", "15e4"])
def test_a_number_that_is_whole_is_an_integer(beto, rows, number):
    sale = f'{{"venta": {number}, "ventas_productos": 3.0}}'

    assert beto.post("/venta/", content=sale, headers=JSON).status_code == 201
    assert beto.post("/venta/lote", content=f"[{sale}]", headers=JSON).status_code == 201
    ndjson = {"Content-Type": "application/x-ndjson"}
    assert beto.post("/venta/importar", content=sale, headers=ndjson).status_code == 201
    assert rows("SELECT venta, ventas_productos FROM venta") == [(150000, 3)] * 3


def test_every_field_at_fault_is_named_at_once(beto):
    body = {"venta": -1, "creacion": "2026-01-31"}

    errores = problem(beto.post("/venta/", json=body), 422, "datos_invalidos")["errores"]

    assert {error["campo"]: error["mensaje"] for error in errores} == {
        "venta": "debe ser un número entero de 0 a 1000000000000000",
        "ventas_productos": "es obligatorio",
        "creacion": "no es un campo conocido",
    }


def test_only_the_owner_and_an_admin_see_a_sale(ana, beto, carla):
    id = sell(beto)

    assert ana.get(f"/venta/{id}").json() == beto.get(f"/venta/{id}/").json()
    body = problem(carla.get(f"/venta/{id}"), 404, "venta_inexistente")
    assert body["detail"] == f"No existe la venta con el id {id}"


def test_only_the_owner_and_an_admin_change_a_sale(ana, beto, carla):
    id = sell(beto)

    body = problem(carla.patch(f"/venta/{id}", json={"venta": 1}), 404, "venta_inexistente")
    assert body["detail"] == f"No existe la venta con el id {id} por lo tanto no se puede actualizar"
    assert beto.patch(f"/venta/{id}", json={"venta": 1}).json() == {
        "respuesta": "Venta actualizada correctamente"
    }
    assert ana.patch(f"/venta/{id}", json={"ventas_productos": 2}).status_code == 200
    sale = beto.get(f"/venta/{id}").json()
    assert (sale["usuario_id"], sale["venta"], sale["ventas_productos"]) == (beto.id, 1, 2)


def test_only_the_owner_and_an_admin_delete_a_sale(ana, beto, carla, rows):
    ids = [sell(beto), sell(beto)]

    body = problem(carla.delete(f"/venta/{ids[0]}"), 404, "venta_inexistente")
    assert body["detail"] == f"No existe la venta con el id {ids[0]} por lo tanto no se elimina"
    assert beto.delete(f"/venta/{ids[0]}").json() == {"respuesta": "Venta eliminada correctamente"}
    assert ana.delete(f"/venta/{ids[1]}").status_code == 200
    assert rows("SELECT count(*) FROM venta") == [(0,)]
    problem(beto.delete(f"/venta/{ids[0]}"), 404, "venta_inexistente")


@pytest.mark.parametrize("change", [{"venta": -1}, {"venta": None}, {"usuario_id": 1}, {"creacion": "ayer"}])
def test_a_bad_change_changes_nothing(beto, change):
    id = sell(beto)

    problem(beto.patch(f"/venta/{id}", json={"ventas_productos": 9} | change), 422, "datos_invalidos")

    assert beto.get(f"/venta/{id}").json()["ventas_productos"] == 3


def test_an_admin_mends_a_mistyped_date(ana, beto, rows):
    id = sell(beto)
    rows("UPDATE venta SET creacion = '2062-01-31T10:00:00Z'")

    assert ana.patch(f"/venta/{id}", json={"creacion": "2026-01-31T10:00"}).status_code == 200
    assert beto.get(f"/venta/{id}").json()["creacion"] == "2026-01-31T10:00:00.000000Z"


def test_the_owner_dates_a_sale_on_the_day_it_was_made_and_no_later(beto):
    id = sell(beto)

    assert beto.patch(f"/venta/{id}", json={"creacion": "2026-01-31T10:00:00-03:00"}).status_code == 200
    body = problem(beto.patch(f"/venta/{id}", json={"creacion": "2026-01-30"}), 403, "sin_permiso")
    assert body["detail"] == "Solo un admin puede cambiar la fecha de una venta que no es de hoy"
    stale = {"If-Match": f'"{id}-1"'}
    problem(beto.patch(f"/venta/{id}", json={"venta": 5}, headers=stale), 412, "version_distinta")
    assert beto.patch(f"/venta/{id}", json={"venta": 5}).status_code == 200
    assert beto.get(f"/venta/{id}").json()["creacion"] == "2026-01-31T13:00:00.000000Z"


@pytest.mark.parametrize(
    "creacion", ["0026-01-31", "1999-12-31T23:59:59Z", "2062-01-31T10:00:00Z", "2026-02-30"]
)
def test_a_date_out_of_bounds_is_refused(ana, creacion):
    id = sell(ana)
    errores = problem(ana.patch(f"/venta/{id}", json={"creacion": creacion}), 422, "datos_invalidos")[
        "errores"
    ]
    assert errores[0]["campo"] == "creacion"


@pytest.mark.parametrize("id", ["999", "0", "-1", str(2**63), "9" * 20, "abc", "1.0", "٣"])
def test_an_id_that_is_no_sales_is_404(ana_of_all, id):
    for method, text in {"GET": "", "DELETE": " por lo tanto no se elimina"}.items():
        body = problem(ana_of_all.request(method, f"/venta/{id}"), 404, "venta_inexistente")
        assert body["detail"] == f"No existe la venta con el id {id}{text}"


def test_a_sale_is_of_its_users_life(ana, beto, rows):
    sell(beto)
    ana.delete(f"/user/{beto.id}")
    assert rows("SELECT count(*) FROM venta") == [(0,)]


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k-1"}])
def test_a_user_deleted_a_moment_ago_records_nothing(beto, rows, headers):
    rows("DELETE FROM usuario WHERE id = %s", beto.id)

    problem(beto.post("/venta/", json=SALE, headers=headers), 401, "token_invalido")
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_a_plain_sql_insert_works_and_a_bad_one_does_not(beto, rows):
    rows("INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%s, 5, 1)", beto.id)
    assert beto.get("/venta/").json()[0]["venta"] == 5
    for venta, productos in ((-1, 1), (10**15 + 1, 1), (0, 0), (0, 10**6 + 1)):
        with pytest.raises(Exception, match="check constraint"):
            rows(
                "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%s, %s, %s)",
                beto.id,
                venta,
                productos,
            )
