"""Batches of sales: all of them, or none and every bad row named."""

import pytest
from conftest import problem

GOOD = {"venta": 100, "ventas_productos": 1}


def test_the_ids_come_in_the_order_of_the_batch(beto):
    batch = [{"venta": n, "ventas_productos": 1} for n in (5, 3, 9, 1)]

    answer = beto.post("/venta/lote", json=batch)

    assert answer.status_code == 201
    assert answer.json()["respuesta"] == "Ventas creadas correctamente"
    ids = answer.json()["ids"]
    assert [beto.get(f"/venta/{id}").json()["venta"] for id in ids] == [5, 3, 9, 1]
    assert ids == sorted(ids)


def test_ten_thousand_are_recorded_and_no_more(ana, beto, rows):
    batch = [{"usuario_id": beto.id, "venta": 10**15 - n, "ventas_productos": 10**6} for n in range(10_000)]

    ids = ana.post("/venta/lote/", json=batch).json()["ids"]
    too_many = problem(ana.post("/venta/lote", json=[*batch, GOOD]), 422, "datos_invalidos")

    assert too_many["errores"] == [
        {
            "campo": "cuerpo",
            "mensaje": "debe ser una lista JSON de hasta 10000 elementos",
        }
    ]
    kept = rows("SELECT id FROM venta WHERE usuario_id = %s ORDER BY venta DESC", beto.id)
    assert [id for (id,) in kept] == ids


def test_an_empty_batch_is_none(beto):
    assert beto.post("/venta/lote", json=[]).json()["ids"] == []


def test_every_bad_row_is_named_and_none_is_kept(beto, rows):
    batch = [GOOD, {"venta": -1}, GOOD, 5, GOOD | {"color": "azul"}, *[GOOD | {"ventas_productos": 0}] * 200]

    errores = problem(beto.post("/venta/lote", json=batch), 422, "datos_invalidos")["errores"]

    assert [(error["indice"], error["campo"]) for error in errores[:4]] == [
        (1, "venta"),
        (1, "ventas_productos"),
        (3, "cuerpo"),
        (4, "color"),
    ]
    assert [error["indice"] for error in errores[4:]] == list(range(5, 101))  # a hundred in all
    assert all(error["mensaje"] for error in errores)
    assert rows("SELECT count(*) FROM venta") == [(0,)]


@pytest.mark.parametrize("backslashes", [1, 3])
def test_the_row_of_a_lone_surrogate_is_named(beto, backslashes):
    body = '[{"venta": 1, "ventas_productos": 1}, {"venta": "' + "\\" * backslashes + 'ud800"}]'
    answer = beto.post("/venta/lote", content=body, headers={"Content-Type": "application/json"})
    errores = problem(answer, 422, "datos_invalidos")["errores"]
    assert {(error["indice"], error["campo"]) for error in errores} == {(1, "venta"), (1, "ventas_productos")}


NO_JSON = ["[{}", "[{}] x", "[{]}", '{"venta": 1', '[{"venta": 01}]', b'[{"a": "\xff"}]', b'{"\xff": 1}']


@pytest.mark.parametrize("body", NO_JSON)
def test_what_is_no_json_is_no_batch(beto_of_all, body):
    answer = beto_of_all.post("/venta/lote", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "json_invalido")


def test_a_row_that_says_a_field_twice_is_named(beto):
    body = '[{"venta": 1, "ventas_productos": 1}, {"venta": 1, "venta": 2, "ventas_productos": 1}]'
    answer = beto.post("/venta/lote", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 422, "datos_invalidos")["errores"] == [
        {"indice": 1, "campo": "venta", "mensaje": "está repetido"}
    ]


def test_rows_of_users_that_do_not_exist_are_named(ana, beto, rows):
    batch = [GOOD, GOOD | {"usuario_id": 999}, GOOD | {"usuario_id": beto.id}, GOOD | {"usuario_id": 998}]

    errores = problem(ana.post("/venta/lote", json=batch), 422, "datos_invalidos")["errores"]

    mensaje = "no existe el usuario con ese id"
    assert errores == [{"indice": n, "campo": "usuario_id", "mensaje": mensaje} for n in (1, 3)]
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_rows_of_others_are_named(beto, carla, rows):
    batch = [GOOD | {"usuario_id": beto.id}, GOOD | {"usuario_id": carla.id}, GOOD | {"usuario_id": 999}]

    errores = problem(beto.post("/venta/lote", json=batch), 422, "datos_invalidos")["errores"]

    assert errores == [{"indice": n, "campo": "usuario_id", "mensaje": "debe ser el suyo"} for n in (1, 2)]
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_a_repeated_key_in_a_row_is_refused(beto):
    body = b'[{"venta":1,"ventas_productos":1},{"venta":1,"venta":2,"ventas_productos":1}]'
    answer = beto.post("/venta/lote", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer, 422, "datos_invalidos")["errores"][0]["campo"] == "venta"


def test_what_is_no_list_is_refused(beto):
    for body in ("{}", '{"venta":1,"ventas_productos":1}', "5", "null"):
        answer = beto.post("/venta/lote", content=body, headers={"Content-Type": "application/json"})
        errores = problem(answer, 422, "datos_invalidos")["errores"]
        assert errores == [{"campo": "cuerpo", "mensaje": "debe ser una lista JSON de hasta 10000 elementos"}]
