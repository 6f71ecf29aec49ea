"""Behind PgBouncer in transaction mode, with two server connections for all, everything works."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from urllib.parse import urlencode

import httpx
import psycopg
import pytest
from conftest import client_of, log_in, member, problem
from fleets import until
from processes import server_process
from psycopg.conninfo import conninfo_to_dict
from test_migration_guard import pgbouncer

from bench.nodes import node, url_of
from core.migrating import guard

ROLE = """
ALTER ROLE CURRENT_USER IN DATABASE {name} SET statement_timeout = '15s';
ALTER ROLE CURRENT_USER IN DATABASE {name} SET lock_timeout = '1s';
ALTER ROLE CURRENT_USER IN DATABASE {name} SET idle_in_transaction_session_timeout = '60s';
"""
WAITS = {"query_wait_timeout": 3, "server_login_retry": 1}
SALE = {"venta": 1500, "ventas_productos": 2}


@pytest.fixture
def pooled(database, rows) -> Iterator[dict[str, str]]:
    """The settings that docs/pgbouncer.md asks for, of API and role."""
    rows(ROLE.format(name=conninfo_to_dict(database)["dbname"]))
    with pgbouncer(database, "transaction", default_pool_size=2) as conninfo:
        yield {"DATABASE_URL": url_to(conninfo), "DB_PREPARE": "off"}


@pytest.fixture(params=["no direct", pytest.param("direct", marks=pytest.mark.slow)])
def settings(request, pooled, database) -> dict[str, str]:
    """With and without a way past PgBouncer."""
    return pooled | ({"DATABASE_DIRECT_URL": database} if request.param == "direct" else {})


@pytest.fixture
def served(settings, connect) -> httpx.Client:
    return connect(**settings)


def url_to(conninfo: str) -> str:
    parts = conninfo_to_dict(conninfo)
    name = parts.pop("dbname")
    return f"postgresql:///{name}?{urlencode(parts)}"


@contextmanager
def held(database: str, statement: str) -> Iterator[None]:
    """A transaction of somebody else that did this and does not end."""
    with psycopg.connect(database) as connection:
        connection.execute(statement)
        yield
        connection.rollback()


def test_users_and_sales(served):
    with member(served, "ana") as ana, member(served, "beto") as beto:
        id = beto.post("/venta/", json=SALE).json()["id"]
        assert beto.get(f"/venta/{id}").json()["venta"] == 1500
        assert beto.patch(f"/venta/{id}", json={"venta": 7}).status_code == 200
        assert [sale["venta"] for sale in ana.get("/venta/").json()] == [7]
        assert ana.get("/venta/resumen?por=usuario").json()[0]["importe"] == 7
        assert [user["username"] for user in ana.get("/user/?q=be&total=exacto").json()] == ["beto"]
        assert beto.patch("/user/me", json={"nombre": "Norberto"}).status_code == 200
        assert beto.get("/user/me").json()["nombre"] == "Norberto"
        assert beto.delete(f"/venta/{id}").status_code == 200
        problem(beto.get(f"/venta/{id}"), 404, "venta_inexistente")
        problem(served.post("/user/", json={"username": "x"}), 422, "datos_invalidos")
        assert ana.get("/auditoria").status_code == 200
        assert served.get("/readyz").status_code == 200


def test_a_key_has_one_effect(served):
    with member(served, "ana") as ana:
        keyed = [ana.post("/venta/", json=SALE, headers={"Idempotency-Key": "una"}) for _ in range(3)]

        assert len({answer.json()["id"] for answer in keyed}) == 1
        assert [answer.headers.get("Idempotent-Replayed") for answer in keyed] == [None, "true", "true"]
        assert len(ana.get("/venta/").json()) == 1


def test_batches_and_files(served):
    with member(served, "ana") as ana:
        assert len(ana.post("/venta/lote", json=[SALE] * 1000).json()["ids"]) == 1000
        file = "venta,ventas_productos\n" + "5,1\n" * 20_000
        csv = {"Content-Type": "text/csv"}
        assert ana.post("/venta/importar", content=file, headers=csv).json()["filas"] == 20_000
        bad = problem(
            ana.post("/venta/importar", content=file + "x,1\n", headers=csv), 422, "datos_invalidos"
        )
        assert bad["errores"][0]["linea"] == 20_002
        assert len(ana.get("/venta/exportar?formato=ndjson").text.splitlines()) == 21_000
        page = ana.get("/venta/?limit=1000")
        assert len(ana.get(page.links["next"]["url"]).json()) == 1000


def test_many_at_once_share_two_connections(served, rows):
    """What one leaves behind on a server connection (a setting, a prepared statement) would be another's."""
    file, csv = "venta,ventas_productos\n" + "5,1\n" * 500, {"Content-Type": "text/csv"}

    def work(number: int) -> list[int]:
        return [
            ana.post("/venta/", json=SALE).status_code,
            ana.post("/venta/", json=SALE, headers={"Idempotency-Key": f"clave-{number}"}).status_code,
            ana.get("/venta/").status_code,
            ana.get("/user/me").status_code,
        ]

    def transfer(_: int) -> list[int]:
        return [
            ana.post("/venta/importar", content=file, headers=csv).status_code,
            ana.get("/venta/exportar?formato=csv&minimo=1500").status_code,
        ]

    with member(served, "ana") as ana, ThreadPoolExecutor(8) as workers, ThreadPoolExecutor(2) as carriers:
        worked, carried = workers.map(work, range(40)), carriers.map(transfer, range(8))
        assert list(worked) == [[201, 201, 200, 200]] * 40
        assert list(carried) == [[201, 200]] * 8
    assert rows("SELECT count(*), sum(venta) FROM venta") == [(40 * 2 + 8 * 500, 40 * 2 * 1500 + 8 * 500 * 5)]


@pytest.mark.slow
def test_a_session_that_ends_is_refused_everywhere_within_a_second(settings):
    with ExitStack() as stack:
        urls = [stack.enter_context(server_process(**settings)).url for _ in range(2)]
        one, other = (stack.enter_context(client_of(url)) for url in urls)
        ana = stack.enter_context(member(one, "ana"))
        there = stack.enter_context(client_of(str(other.base_url), headers=ana.headers))
        for _ in range(20):
            assert there.get("/user/me").status_code == 200

        assert ana.delete("/login/sesiones?todas=true").status_code == 200

        assert ana.get("/user/me").status_code == 401
        threading.Event().wait(1)  # the promise
        assert there.get("/user/me").status_code == 401
        assert log_in(other, "ana")


@pytest.mark.slow
def test_who_waits_for_a_lock_is_told_in_time(pooled, connect, database):
    with member(connect(**pooled), "ana") as ana:
        with held(database, "LOCK TABLE venta IN ACCESS EXCLUSIVE MODE"):
            for answer in (ana.get("/venta/"), ana.post("/venta/", json=SALE), ana.delete("/venta/1")):
                assert problem(answer, 503, "bd_lenta")
                assert answer.headers["Retry-After"]
        assert ana.post("/venta/", json=SALE).status_code == 201


@pytest.mark.slow
def test_postgresql_goes_away_behind_it_and_is_back(connect):
    with node() as database, pgbouncer(database.conninfo, "transaction", **WAITS) as conninfo:
        guard.apply(url_of(database), say=lambda line: None)
        with member(connect(DATABASE_URL=url_to(conninfo), DB_PREPARE="off"), "ana") as ana:
            database.stop("fast")
            for path in ("/user/me", "/venta/", "/login/sesiones"):
                answer = ana.get(path)
                assert answer.status_code == 503, answer.text
                assert answer.headers["Retry-After"]
            database.start()
            until(lambda: ana.post("/venta/", json=SALE).status_code == 201)
