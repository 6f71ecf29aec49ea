"""Exports of sales: the list's filters, two formats, files that import again, readers that go away."""

import gzip
import json
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import bcrypt
import psycopg
import pytest
from conftest import PASSWORD, client_of, log_in, problem, running, url_as
from fleets import until
from test_import import busy

from core.http.codings import zstd


@pytest.fixture
def sold(beto, carla, rows):
    """Beto's three sales and Carla's one, whose ids are not in the order of their times."""
    for usuario_id, creacion, venta in [
        (beto.id, "2026-01-31T10:00:00.000001Z", 3),
        (beto.id, "2026-01-01T00:00:00.000000Z", 1),
        (carla.id, "2001-01-01T00:00:00.000000Z", 9),
        (beto.id, "2026-01-31T10:00:00.000000Z", 10**15),
    ]:
        rows(
            "INSERT INTO venta (usuario_id, venta, ventas_productos, creacion) VALUES (%s, %s, 2, %s)",
            usuario_id,
            venta,
            creacion,
        )
    return beto


def test_a_csv_is_a_file_oldest_first(sold):
    answer = sold.get("/venta/exportar")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="ventas.csv"'
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.text.splitlines() == [
        "id,usuario_id,venta,ventas_productos,creacion",
        f"2,{sold.id},1,2,2026-01-01T00:00:00.000000Z",
        f"4,{sold.id},1000000000000000,2,2026-01-31T10:00:00.000000Z",
        f"1,{sold.id},3,2,2026-01-31T10:00:00.000001Z",
    ]


def test_an_ndjson_has_the_sales_as_the_list_has_them(ana, sold):
    answer = ana.get("/venta/exportar/?formato=ndjson")

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["content-disposition"] == 'attachment; filename="ventas.ndjson"'
    assert [json.loads(line) for line in answer.text.splitlines()] == ana.get("/venta/").json()[::-1]


@pytest.mark.parametrize(
    "query",
    ["desde=2026-01-02", "hasta=2026-01-31T10:00:00.000000Z", "minimo=2&maximo=3", "minimo=4&maximo=5"],
)
def test_the_filters_are_the_lists(ana, sold, query):
    for client in (ana, sold):
        lines = client.get(f"/venta/exportar?formato=ndjson&{query}").text.splitlines()
        assert [json.loads(line) for line in lines] == client.get(f"/venta/?{query}").json()[::-1]


def test_whose_sales_is_as_for_the_list(ana, sold, carla):
    problem(carla.get(f"/venta/exportar?usuario_id={sold.id}"), 403, "sin_permiso")
    assert len(carla.get("/venta/exportar").text.splitlines()) == 2
    assert len(ana.get(f"/venta/exportar?usuario_id={sold.id}").text.splitlines()) == 4
    assert ana.get("/venta/exportar?usuario_id=999&formato=ndjson").content == b""


@pytest.mark.parametrize("formato", ["csv", "ndjson"])
def test_what_is_exported_imports_again_unchanged(ana, sold, rows, formato):
    file = ana.get(f"/venta/exportar?formato={formato}")
    everything = "SELECT usuario_id, venta, ventas_productos, creacion FROM venta ORDER BY creacion, id"
    before = rows(everything)
    rows("DELETE FROM venta")

    headers = {"Content-Type": file.headers["content-type"]}
    answer = ana.post("/venta/importar", content=file.content, headers=headers)

    assert answer.json()["filas"] == 4
    assert rows(everything) == before


def test_a_bad_query_is_422(beto):
    for query, campo in {
        "formato=xls": "formato",
        "limit=5": "limit",
        "desde=ayer": "desde",
        "minimo=-1": "minimo",
    }.items():
        errores = problem(beto.get(f"/venta/exportar?{query}"), 422, "datos_invalidos")["errores"]
        assert [error["campo"] for error in errores] == [campo]


@pytest.fixture(scope="module")
def full(database_of_all):
    """The URL of a database with so many sales of Beto's that no buffer between server and client holds them."""
    with psycopg.connect(database_of_all) as connection:
        connection.execute(
            "INSERT INTO usuario (id, username, password, nombre, apellido, telefono, correo)"
            " VALUES (1, 'beto', %s, 'Beto', 'Paz', '2604538424', 'beto@example.com')",
            [bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()],
        )
        connection.execute(
            "INSERT INTO venta (usuario_id, venta, ventas_productos)"
            " SELECT 1, n, 1 FROM generate_series(1, 150000) AS n"
        )
    return database_of_all


@pytest.fixture
def connect_to_full(full):
    """A function that starts a server on it, with settings, and returns Beto's client."""
    with ExitStack() as stack:

        def connect(**settings):
            url = stack.enter_context(running({"DATABASE_URL": url_as("ventas_app", full)} | settings))
            client = stack.enter_context(client_of(url))
            client.headers["authorization"] = f"Bearer {log_in(client, 'beto')}"
            return client

        yield connect


@pytest.fixture
def long(connect_to_full):
    return connect_to_full()


@pytest.fixture
def busy_there(full):
    """A function that tells which connections to it are in a transaction."""
    with psycopg.connect(full, autocommit=True) as connection:
        yield lambda: busy(lambda query: connection.execute(query).fetchall())


def test_a_head_has_no_body_and_frees_the_connection(long, busy_there):
    answer = long.head("/venta/exportar")
    assert (answer.status_code, answer.content) == (200, b"")
    until(lambda: not busy_there())


def _reading(client, path="/venta/exportar") -> socket.socket:
    """A connection on which a request was sent."""
    url = urlsplit(str(client.base_url))
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(20)
    peer.connect((url.hostname, url.port))
    peer.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode())
    peer.sendall(f"Authorization: {client.headers['authorization']}\r\n\r\n".encode())
    return peer


def test_a_reader_who_hangs_up_frees_the_connection(long, busy_there):
    for _ in range(5):
        with _reading(long) as peer:
            assert peer.recv(15) == b"HTTP/1.1 200 OK"
            assert busy_there()
        until(lambda: not busy_there())
    assert long.get("/venta/exportar").text.count("\n") == 150_001


def test_a_reader_who_stalls_is_given_up(long, monkeypatch):
    monkeypatch.setattr("core.http.streams.STALL_SECONDS", 0.3)
    with _reading(long) as peer:
        assert peer.recv(15) == b"HTTP/1.1 200 OK"
        assert long.head("/venta/exportar").status_code == 200  # its turn comes when the first is given up
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        rest = b"".join(iter(lambda: peer.recv(1 << 20), b""))
    assert not rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("path", ["/venta/", "/venta/?total=exacto", "/venta/resumen"])
def test_a_query_that_nobody_waits_for_is_cancelled(connect, beto, database, rows, monkeypatch, path):
    monkeypatch.setattr("core.http.connection.HALF_CLOSED_SECONDS", 0.3)
    api = connect(DB_TIMEOUT_SECONDS="30")
    api.headers["authorization"] = beto.headers["authorization"]
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE venta")
        with _reading(api, path):
            until(lambda: _waiting(rows))
        until(lambda: not _waiting(rows))


def _waiting(rows):
    """The requests' queries that wait for a lock; sweeps wait for it too, and are nobody's."""
    return rows(
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        " AND query ~ '-- ventas'"
    )


def test_exports_leave_connections_for_the_others(connect_to_full):
    api = connect_to_full(DB_POOL_MAX="4")
    with _reading(api) as peer:
        assert peer.recv(15) == b"HTTP/1.1 200 OK"
        problem(api.get("/venta/exportar"), 429, "demasiado_a_la_vez")
    until(lambda: api.get("/venta/exportar").status_code == 200)


@pytest.mark.parametrize(("coding", "decompress"), [("gzip", gzip.decompress), ("zstd", zstd.decompress)])
def test_it_is_compressed_as_it_is_sent(long, coding, decompress):
    plain = long.get("/venta/exportar", headers={"Accept-Encoding": "identity"})
    with long.stream("GET", "/venta/exportar", headers={"Accept-Encoding": coding}) as answer:
        packed = b"".join(answer.iter_raw())
    assert decompress(packed) == plain.content
    assert answer.headers["content-encoding"] == coding
    assert len(packed) < len(plain.content) / 3
    assert plain.headers["vary"] == answer.headers["vary"] == "Accept-Encoding"
    assert (
        long.head("/venta/exportar", headers={"Accept-Encoding": coding}).headers["content-encoding"]
        == coding
    )


def test_a_short_one_is_not_compressed(sold):
    answer = sold.get("/venta/exportar", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.text.count("\n") == 4
