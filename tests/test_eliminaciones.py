"""Deleting an account with many sales: gone at once, removed step by step, nobody held up."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from conftest import log_in, new_user, problem
from databases import Rows

from core.database.database import open_database
from sql import eliminaciones

MANY = 5_000


@pytest.fixture
def large(beto: httpx.Client, rows: Rows) -> httpx.Client:
    """Beto, with many sales."""
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos) SELECT %s, n, 1 FROM generate_series(1, %s) AS n",
        beto.id,  # type: ignore[attr-defined]
        MANY,
    )
    return beto


def remove(database: str, *, steps: int | None = None) -> None:
    """Takes the steps that a process takes in the background, or only some of them."""

    async def work() -> None:
        async with open_database(database) as db:
            done = await eliminaciones.step(db, None)
            taken = 1
            while done and taken != steps:
                done = await eliminaciones.step(db, None if done.last else done)
                taken += 1

    asyncio.run(work())


def test_it_is_invisible_at_once_and_its_names_are_free(
    api: httpx.Client, ana: httpx.Client, large: httpx.Client, rows: Rows
) -> None:
    [(sale,)] = rows("SELECT max(id) FROM venta")
    answer = large.delete("/user/me")
    assert (answer.status_code, answer.json()["respuesta"]) == (200, "Usuario eliminado correctamente")

    id = large.id  # type: ignore[attr-defined]
    problem(ana.get(f"/user/{id}"), 404, "usuario_inexistente")
    assert id not in [user["id"] for user in ana.get("/user/").json()]
    assert ana.get("/user/?q=eliminado").json() == []
    assert ana.get("/venta/").json() == []
    assert ana.get("/venta/?total=exacto").headers["x-total-count"] == "0"
    problem(ana.get(f"/venta/{sale}"), 404, "venta_inexistente")
    problem(ana.delete(f"/venta/{sale}"), 404, "venta_inexistente")
    problem(
        ana.post("/venta/", json={"usuario_id": id, "venta": 1, "ventas_productos": 1}),
        404,
        "usuario_inexistente",
    )
    assert ana.get("/venta/resumen?por=usuario").json() == []
    assert ana.get("/venta/exportar").text.count("\n") == 1
    problem(ana.delete(f"/user/{id}"), 404, "usuario_inexistente")
    assert api.post("/user/", json=new_user("beto")).status_code == 201
    assert log_in(api, "beto")


def test_its_rows_go_step_by_step_also_after_a_crash(
    ana: httpx.Client, large: httpx.Client, database: str, rows: Rows
) -> None:
    assert large.delete("/user/me").status_code == 200
    [(user,)] = rows("SELECT usuario_id FROM eliminacion")
    remove(database, steps=1)
    assert 0 < rows("SELECT count(*) FROM venta")[0][0] < MANY

    remove(database)

    assert rows("SELECT count(*) FROM venta WHERE usuario_id = %s", user) == [(0,)]
    assert rows("SELECT count(*) FROM usuario WHERE id = %s", user) == [(0,)]
    assert rows("SELECT count(*) FROM eliminacion") == [(0,)]


def test_two_processes_remove_it_once(large: httpx.Client, database: str, rows: Rows) -> None:
    assert large.delete("/user/me").status_code == 200

    with ThreadPoolExecutor(2) as processes:
        list(processes.map(remove, [database] * 2))

    remove(database)
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_it_waits_for_nobody_who_sells_meanwhile(large: httpx.Client, database: str, rows: Rows) -> None:
    with psycopg.connect(database) as seller:
        sell = "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%s, 1, 1)"
        seller.execute(sell, [large.id])  # type: ignore[attr-defined]
        assert large.delete("/user/me").status_code == 200
        seller.commit()
    remove(database)

    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_nothing_goes_when_the_account_moved_on(ana: httpx.Client, large: httpx.Client, rows: Rows) -> None:
    answer = ana.delete(f"/user/{large.id}", headers={"If-Match": '"9"'})  # type: ignore[attr-defined]
    assert answer.status_code == 412
    assert rows("SELECT count(*) FROM eliminacion") == [(0,)]
    assert large.get("/user/me").status_code == 200


def test_the_audit_has_it_once(ana: httpx.Client, large: httpx.Client, database: str, rows: Rows) -> None:
    assert large.delete("/user/me").status_code == 200
    remove(database)
    assert rows("SELECT count(*) FROM auditoria WHERE accion = 'usuario_eliminado'") == [(1,)]
