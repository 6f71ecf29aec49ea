"""What a body may cost: its length by route, what all of them hold together, and how long one is explained."""

import asyncio
import gc
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from weakref import WeakSet

import httpx
import pytest
from conftest import member, problem
from fleets import until
from raw import FORM, answers, one, rest, serving
from raw import connect as connect_to

from core.http.body_budget import BodyBudget
from core.http.connection import Connection
from core.http.exchange import Exchange

JSON = {"Content-Type": "application/json"}
SALE = {"venta": 1, "ventas_productos": 1}


def lote(length: int, token: str) -> bytes:
    head = f"POST /venta/lote HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: {token}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/user/", "/login/", "/login/recuperar", "/venta/"])
def test_a_body_has_16_kib_where_no_more_is_needed(beto, path):
    answer = beto.post(path, content=b" " * 16_385, headers=JSON)
    assert problem(answer, 413, "cuerpo_demasiado_grande")["detail"] == "El cuerpo pasa de 16384 bytes"


def test_a_batch_has_as_much_as_the_settings_say(beto):
    assert beto.post("/venta/lote", json=[SALE] * 1000).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b'{"":0},' * 200_000 + b"{}]",
        b"[" + b"1," * 500_000 + b"1]",
        b"[{" + b",".join(b'"%x":0' % n for n in range(100_000)) + b"}]",
        b"[{" + b'"venta":1,' * 100_000 + b'"venta":1}]',
    ],
)
def test_a_body_of_too_many_values_is_refused_as_a_whole(beto, body):
    answer = beto.post("/venta/lote", content=body, headers=JSON)
    (error,) = problem(answer, 422, "datos_invalidos")["errores"]
    assert error["mensaje"].startswith("tiene demasiados valores: debe ser una lista JSON de hasta")


def test_an_answer_names_a_hundred_errors_at_most(beto):
    rows = json.dumps([{"venta": -1, "color": "azul"}] * 5000)
    answer = beto.post("/venta/lote", content=rows, headers=JSON)
    assert len(problem(answer, 422, "datos_invalidos")["errores"]) == 100
    assert len(answer.content) < 20_000


def test_a_number_of_very_many_digits_is_no_amount(beto):
    body = '[{"venta": ' + "9" * 4000 + ', "ventas_productos": 1}]'
    errores = problem(beto.post("/venta/lote", content=body, headers=JSON), 422, "datos_invalidos")["errores"]
    assert [error["campo"] for error in errores] == ["venta"]


def test_large_bodies_wait_for_each_other(database, monkeypatch):
    """Together they hold no more than the budget; who waits too long is told to come again."""
    monkeypatch.setattr("core.http.outermost.LEAST_BUDGET", 30_000)
    with serving(database, Connection, MAX_BODY_BYTES="20000", DB_TIMEOUT_SECONDS="1") as server:
        url = "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
        with httpx.Client(base_url=url, timeout=30) as api, member(api, "ana") as ana:
            token = ana.headers["authorization"]
            with connect_to(server) as first, connect_to(server) as second:
                first.sendall(lote(20_000, token) + b"[")
                assert ana.get("/readyz").status_code == 200  # it is being read
                second.sendall(lote(20_000, token) + b"[")
                (busy,) = answers(rest(second))
                first.sendall(b" " * 19_998 + b"]")
                (done,) = answers(rest(first))
            assert (busy.status, busy.problem["codigo"], busy.headers["retry-after"]) == (
                503,
                "servidor_ocupado",
                "1",
            )
            assert done.status == 201
            assert ana.post("/venta/lote", json=[SALE] * 500).status_code == 201


@pytest.mark.anyio
async def test_whose_time_ends_as_their_turn_comes_gives_it_back():
    """Else less and less would be left, until no body is read any more."""
    budget, ended = BodyBudget(10, seconds=1), asyncio.Event()

    async def body() -> None:
        await budget.hold(10)
        await ended.wait()

    first, second = asyncio.create_task(body()), asyncio.create_task(body())
    await asyncio.sleep(0)
    first.add_done_callback(lambda _: second.cancel())
    ended.set()
    with suppress(asyncio.CancelledError):
        await second
    await budget.hold(10)


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeakSet[Exchange]]:
    """The exchanges that somebody holds; the garbage collector, which comes when it likes, is not needed."""
    alive: WeakSet[Exchange] = WeakSet()

    class Watched(Exchange):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            alive.add(self)

    monkeypatch.setattr("core.http.connection.Exchange", Watched)
    gc.disable()
    yield alive
    gc.enable()


def test_what_a_request_took_is_free_once_it_is_answered(database, monkeypatch, alive):
    """Its connection stays open."""
    monkeypatch.setattr("core.http.connection.HALF_CLOSED_SECONDS", 3600)
    with serving(database) as server:
        url = "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())
        with httpx.Client(base_url=url, timeout=30) as api, member(api, "ana") as ana:
            for body in (b"[" + b" " * 100_000 + b"]", b"[" + b" " * 100_000 + b"x]", b"x"):
                assert ana.post("/venta/lote", content=body, headers=JSON).status_code in (201, 400)
            assert ana.get("/venta/99").status_code == 404
            sold = json.dumps([SALE]).encode()
            with connect_to(server) as client:
                client.sendall(lote(len(sold), ana.headers["authorization"]) + sold)
                client.shutdown(socket.SHUT_WR)
                assert [answer.status for answer in answers(rest(client))] == [201]
            until(lambda: not alive)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (lote(100_000, "") + b"x" * 100_000, 401),
        (lote(100_000, "Bearer x") + b"x" * 90_000, 401),
        (b"POST /user/ HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"x" * 90_000, 415),
        (b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 60_000 + b"\r\nno field\r\n\r\n", 400),
        (FORM + b"transfer-encoding: chunked\r\n\r\n3e00\r\n" + b"x" * 0x3E00 + b"\r\nno size\r\n", 400),
    ],
)
def test_what_a_refused_request_took_is_free_once_it_is_answered(database_of_all, alive, request_, status):
    """Whoever is refused needs no token for it."""
    with serving(database_of_all) as server, connect_to(server) as client:
        client.sendall(request_)
        assert one(client).status == status
        until(lambda: not alive)


@pytest.mark.parametrize(
    "begun", [lote(100_000, "")[:-2], FORM + b"content-length: 9000\r\n\r\n" + b"x" * 8999]
)
def test_what_a_client_sent_is_free_once_it_has_hung_up(database_of_all, alive, begun):
    with serving(database_of_all) as server:
        with connect_to(server) as client:
            client.sendall(begun)
            until(lambda: server.server_state.connections)
        until(lambda: not server.server_state.connections and not alive)
