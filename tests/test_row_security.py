"""docs/rls.sql: a forgotten predicate shows a person's program nothing, and the API is as before."""

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from conftest import ROLES
from psycopg.errors import InsufficientPrivilege

pytestmark = pytest.mark.each_postgresql

RLS = ROLES.with_name("rls.sql")
TABLES = ("venta", "sesion", "idempotencia", "enlace")
Rows = Callable[..., list[tuple]]


@pytest.fixture
def secured(database: str) -> Iterator[psycopg.Connection]:
    """The owner's connection to a database where the file was run, twice."""
    with psycopg.connect(database, autocommit=True) as connection:
        for _ in range(2):
            connection.execute(RLS.read_text("utf-8"))
        yield connection
        connection.execute("RESET ROLE; DROP OWNED BY ventas_persona")


@pytest.fixture
def sold(ana, beto, carla, secured: psycopg.Connection) -> None:
    """A sale, a key, a session and a link of Beto's and of Carla's."""
    for client in (beto, carla):
        sale = {"venta": 5, "ventas_productos": 1}
        assert client.post("/venta/", json=sale, headers={"Idempotency-Key": "una"}).status_code == 201
        assert client.post("/user/verificar/enviar").status_code in (200, 202)


def test_a_forgotten_predicate_shows_nothing(sold: None, secured: psycopg.Connection) -> None:
    secured.execute("SET ROLE ventas_persona")
    for table in TABLES:
        assert secured.execute(f"SELECT usuario_id FROM {table}").fetchall() == []


def test_who_says_for_whom_sees_and_changes_theirs_alone(
    beto, carla, sold: None, secured: psycopg.Connection
) -> None:
    secured.execute("SET ROLE ventas_persona")
    secured.execute(f"SET app.usuario_id = '{beto.id}'")
    for table in TABLES:
        assert {id for (id,) in secured.execute(f"SELECT usuario_id FROM {table}")} == {beto.id}, table
    assert secured.execute("UPDATE venta SET venta = 6").rowcount == 1
    assert secured.execute("DELETE FROM venta WHERE usuario_id = %s", [carla.id]).rowcount == 0
    insert = "INSERT INTO venta (usuario_id, venta, ventas_productos) VALUES (%s, 1, 1)"
    secured.execute(insert, [beto.id])
    with pytest.raises(InsufficientPrivilege, match="row-level security"):
        secured.execute(insert, [carla.id])


def test_the_api_is_as_before(ana, beto, carla, sold: None) -> None:
    [sale] = beto.get("/venta/").json()
    assert len(ana.get("/venta/").json()) == 2
    assert carla.get(f"/venta/{sale['id']}").status_code == 404
    assert beto.patch(f"/venta/{sale['id']}", json={"venta": 7}).status_code == 200
    assert beto.get("/venta/exportar").text.count("\n") == 2
    assert beto.delete("/login/sesiones").status_code == 200
    assert ana.delete(f"/user/{carla.id}").status_code == 200
    assert len(ana.get("/venta/").json()) == 1


def test_it_concerns_every_table_that_belongs_to_a_person(rows: Rows) -> None:
    owned = rows(
        "SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confrelid = 'usuario'::regclass"
    )
    assert {table for (table,) in owned} <= set(re.findall(r"'(\w+)'", RLS.read_text("utf-8")))
