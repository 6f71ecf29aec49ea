"""Requests that last: they end when the caller's session does, whichever process ended it, and change nothing then."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from conftest import PASSWORD, problem
from fleets import until
from test_import import busy

from core.auth.password_hashes import Passwords
from sql.idempotencia import turn_of

NEW = {"password": "otra clave larga"}


@pytest.fixture
def elsewhere(ana, connect) -> httpx.Client:
    """Ana, at another server on the same database."""
    client = connect()
    client.headers["authorization"] = ana.headers["authorization"]
    return client


@pytest.fixture
def long(beto, rows) -> httpx.Client:
    """So many sales of Beto's that no buffer between server and client holds them."""
    rows("SET session_replication_role = replica")  # no look at the user for each of them
    rows(
        "INSERT INTO venta (usuario_id, venta, ventas_productos) SELECT %s, n, 1 FROM generate_series(1, 150000) AS n",
        beto.id,
    )
    rows("RESET session_replication_role")
    return beto


def by_a_new_password(elsewhere, id):
    return elsewhere.patch(f"/user/{id}", json=NEW)


def by_a_new_correo(elsewhere, id):
    return elsewhere.patch(f"/user/{id}", json={"correo": "nuevo@example.com"})


def by_blocking(elsewhere, id):
    return elsewhere.patch(f"/user/{id}", json={"bloqueado": True})


def by_deleting(elsewhere, id):
    return elsewhere.delete(f"/user/{id}")


WAYS: list[Callable[..., httpx.Response]] = [by_a_new_password, by_a_new_correo, by_blocking]


@contextmanager
def _asking(client: httpx.Client, method: str, path: str, *lines: str) -> Iterator[socket.socket]:
    """A connection on which a request was begun."""
    url = urlsplit(str(client.base_url))
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.settimeout(20)
        peer.connect((url.hostname, url.port))
        authorization = f"Authorization: {client.headers['authorization']}"
        peer.sendall(
            "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", authorization, *lines, "", ""]).encode()
        )
        yield peer


def _rest(peer: socket.socket) -> str:
    """What comes until the server closes."""
    return b"".join(iter(lambda: peer.recv(1 << 20), b"")).decode()


@contextmanager
def _sending_a_file(client: httpx.Client) -> Iterator[socket.socket]:
    """An import whose caller was looked at, and whose file the server reads now; none of it was sent."""
    lines = ["Content-Type: text/csv", "Transfer-Encoding: chunked", "Expect: 100-continue"]
    with _asking(client, "POST", "/venta/importar", *lines) as peer:
        assert peer.recv(100).startswith(b"HTTP/1.1 100 ")
        yield peer


@pytest.fixture
def importing(beto, rows) -> Iterator[socket.socket]:
    """An import of Beto's of which some has come, and more may come for as long as it likes."""
    with _sending_a_file(beto) as peer:
        peer.sendall(b"1d\r\nventa,ventas_productos\n1,1\n2,\r\n")
        yield peer


@pytest.mark.parametrize("way", [*WAYS, by_deleting])
def test_an_import_whose_session_was_ended_elsewhere_keeps_nothing(beto, importing, elsewhere, rows, way):
    assert way(elsewhere, beto.id).status_code == 200

    answer = _rest(importing)  # nothing more was sent

    assert answer.startswith("HTTP/1.1 401 ")
    assert '"codigo":"token_invalido"' in answer
    assert rows("SELECT count(*) FROM venta") == [(0,)]
    until(lambda: not busy(rows))


def test_an_import_that_ends_just_then_is_looked_at_before_it_is_committed(
    beto, importing, rows, monkeypatch
):
    monkeypatch.setattr("core.http.standing.LOOK_SECONDS", 60)
    with beto.stream("DELETE", "/login/sesiones?todas=true") as ended:
        assert ended.status_code == 200

    importing.sendall(b"2\r\n2\n\r\n0\r\n\r\n")

    assert importing.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_an_import_of_who_is_no_admin_any_more_keeps_nothing(ana, beto, elsewhere, rows):
    ana.patch(f"/user/{beto.id}", json={"rol": "admin"})
    until(lambda: beto.get("/user/").status_code == 200)
    with _sending_a_file(beto) as peer:
        peer.sendall(b"4\r\nvent\r\n")
        elsewhere.patch(f"/user/{beto.id}", json={"rol": "usuario"})
        answer = _rest(peer)

    assert answer.startswith("HTTP/1.1 403 ")
    assert rows("SELECT count(*) FROM venta") == [(0,)]


@pytest.mark.parametrize("way", WAYS)
def test_an_export_whose_session_was_ended_elsewhere_is_cut(long, elsewhere, monkeypatch, way):
    monkeypatch.setattr("core.http.standing.LOOK_SECONDS", 0.001)
    with _asking(long, "GET", "/venta/exportar") as peer:
        assert peer.recv(15) == b"HTTP/1.1 200 OK"
        assert way(elsewhere, long.id).status_code == 200
        until(lambda: long.get("/user/me").status_code == 401)
        for _ in range(20):  # the export's server goes on, and looks at its export too
            long.get("/user/me")
        assert not _rest(peer).endswith("0\r\n\r\n")


def test_an_export_of_who_stays_is_whole(long, elsewhere, carla):
    elsewhere.patch(f"/user/{carla.id}", json=NEW)
    with _asking(long, "GET", "/venta/exportar", "Connection: close") as peer:
        assert _rest(peer).endswith("0\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "body"),
    [("/venta/", '{"venta": 1, "ventas_productos": 1}'), ("/user/me", '{"direccion": "Allá 1"}')],
)
def test_a_body_that_was_still_coming_when_the_session_ended_changes_nothing(
    beto, elsewhere, rows, monkeypatch, path, body
):
    monkeypatch.setattr("core.http.endpoint.LOOK_SECONDS", 0)
    method = "POST" if path == "/venta/" else "PATCH"
    lines = [
        "Content-Type: application/json",
        f"Content-Length: {len(body.encode())}",
        "Expect: 100-continue",
    ]
    with _asking(beto, method, path, *lines) as peer:
        assert peer.recv(100).startswith(b"HTTP/1.1 100 ")  # the caller was looked at; now the body is read
        by_a_new_password(elsewhere, beto.id)
        until(lambda: beto.get("/user/me").status_code == 401)
        peer.sendall(body.encode())
        assert peer.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert rows("SELECT count(*) FROM venta") == [(0,)]
    assert rows("SELECT direccion FROM usuario WHERE id = %s", beto.id) == [(None,)]


def test_a_request_that_waited_for_its_keys_turn_is_looked_at_again(
    beto, elsewhere, rows, database, monkeypatch
):
    monkeypatch.setattr("handlers.idempotency.LOOK_SECONDS", 0)
    body, headers = [{"venta": 1, "ventas_productos": 1}], {"Idempotency-Key": "X"}
    with psycopg.connect(database, autocommit=True) as held, ThreadPoolExecutor(1) as pool:
        held.execute("SELECT pg_advisory_lock(%s)", [turn_of(beto.id, "X")])
        answer = pool.submit(beto.post, "/venta/lote", json=body, headers=headers)
        until(lambda: rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))
        by_a_new_correo(elsewhere, beto.id)
        until(lambda: beto.get("/user/me").status_code == 401)
        held.execute("SELECT pg_advisory_unlock(%s)", [turn_of(beto.id, "X")])
        problem(answer.result(), 401, "token_invalido")
    assert rows("SELECT count(*) FROM venta") == [(0,)]


def test_so_is_one_whose_password_waited_to_be_hashed(beto, elsewhere, rows, monkeypatch):
    verify = Passwords.verify

    def end() -> None:
        by_a_new_correo(elsewhere, beto.id)
        until(lambda: beto.get("/user/me").status_code == 401)

    async def overtaken(self: Passwords, password: str, hashed: str | None, address: str | None) -> bool:
        await asyncio.to_thread(end)
        return await verify(self, password, hashed, address)

    monkeypatch.setattr(Passwords, "verify", overtaken)
    key = {"nombre": "Caja", "ambitos": ["ventas:leer"], "password_actual": PASSWORD}
    problem(beto.post("/user/me/llaves", json=key), 401, "token_invalido")
    assert rows("SELECT * FROM llave") == []
