"""Clients that are too slow: each is bounded, and the others do not notice."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import uvicorn
from conftest import client_of, new_user
from fleets import until
from raw import FORM, Impatient, answers, connect, rest, serving


@pytest.fixture
def server(database: str) -> Iterator[uvicorn.Server]:
    """A server whose connections are impatient."""
    with serving(database, Impatient, BCRYPT_ROUNDS="13") as server:
        yield server


@pytest.fixture
def client(server: uvicorn.Server) -> Iterator[socket.socket]:
    with connect(server) as client:
        yield client


def url_of(server: uvicorn.Server) -> str:
    return "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())


def cut_off(client: socket.socket, piece: bytes) -> Callable[[], bool]:
    """A function that sends a piece, and tells whether the server has cut the client off."""

    def send() -> bool:
        try:
            client.sendall(piece)
        except ConnectionError:
            return True
        return False

    return send


def test_who_says_nothing_is_hung_up_on(client):
    assert rest(client) == b""


def test_who_goes_silent_in_a_head_is_told(client):
    client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
    (answer,) = answers(rest(client))
    assert (answer.status, answer.problem["codigo"]) == (408, "peticion_demasiado_lenta")


def test_a_head_that_dribbles_is_given_up(client):
    client.sendall(b"GET / HTTP/1.1\r\n")
    until(cut_off(client, b"x: y\r\n"))


def test_empty_lines_without_end_are_given_up(client):
    until(cut_off(client, b"\r\n"))


def test_empty_lines_that_come_in_halves_are_given_up(client):
    halves = itertools.cycle([b"\r", b"\n"])
    until(lambda: cut_off(client, next(halves))())


@pytest.mark.parametrize(
    "begun",
    [
        b"content-length: 10\r\n\r\n",
        b"content-length: 10\r\n\r\nx",
        b"transfer-encoding: chunked\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n5;a",
        b"transfer-encoding: chunked\r\n\r\n5\r\nx",
        b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\na: b\r\n",
    ],
)
def test_a_body_has_its_time_from_its_first_byte_on(begun, client, monkeypatch):
    monkeypatch.setattr("core.http.messages.BODY_SECONDS", 0.2)
    client.sendall(FORM + begun)
    (answer,) = answers(rest(client))
    assert (answer.status, answer.problem["codigo"]) == (408, "cuerpo_demasiado_lento")


def test_what_goes_on_after_the_answer_is_given_up(client):
    client.sendall(b"POST /venta/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    until(cut_off(client, b"x" * 1000))


def test_a_short_rest_that_does_not_come_is_given_up(client):
    client.sendall(b"POST /venta/ HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n")
    assert [answer.status for answer in answers(rest(client))] == [401]


def test_what_is_thrown_away_has_a_bound(client, monkeypatch):
    monkeypatch.setattr("core.http.connection.MOST_DISCARDED", 1 << 20)
    client.sendall(b"hola\r\n")
    with suppress(ConnectionError):
        client.sendall(b"x" * (1 << 26))
    until(cut_off(client, b"x"))


def test_after_an_early_answer_and_its_body_a_head_without_end_is_refused(client):
    client.sendall(b"POST /venta/ HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n" + b"x" * 10)
    client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"b" * 100_000)
    assert [answer.status for answer in answers(rest(client))] == [401, 431]


def test_who_waits_and_who_rests_is_left_alone(server):
    with client_of(url_of(server)) as resting, client_of(url_of(server)) as waiting:
        assert resting.get("/healthz").status_code == 200
        assert waiting.post("/user/", json=new_user("ana")).status_code == 201  # takes several looks
        assert resting.get("/healthz").status_code == 200
    assert server.server_state.total_requests == 3


def test_an_answer_that_nobody_reads_is_given_up(server, client):
    for _ in range(200):  # more than the kernel holds for a client that reads nothing
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
    until(lambda: server.server_state.connections)
    until(lambda: not server.server_state.connections)


def test_a_client_that_reads_on_is_not_given_up(server):
    """However much waits for it whenever the server looks."""
    answers_wanted, looks = 200, 20
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        client.connect(server.servers[0].sockets[0].getsockname())
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * answers_wanted)
        end = time.monotonic() + looks * Impatient.look_seconds
        while time.monotonic() < end:
            assert client.recv(1 << 15)
            time.sleep(0.01)
