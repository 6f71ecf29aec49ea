"""Clients that are too slow, too long, or no HTTP: each is bounded, and the others do not notice."""

import json
import re
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from conftest import SETTINGS, client_of, new_user
from fleets import until

from app import application
from core.http.connection import MOST_HEAD, Connection


class Impatient(Connection):
    """It looks often."""

    look_seconds = 0.1


@pytest.fixture
def server(database: str) -> Iterator[uvicorn.Server]:
    """A server whose connections are impatient."""
    app = application(SETTINGS | {"DATABASE_URL": database, "BCRYPT_ROUNDS": "13"})
    options = {"port": 0, "log_level": "warning", "server_header": False, "timeout_keep_alive": 30}
    server = uvicorn.Server(uvicorn.Config(app, http=Impatient, **options))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    yield server
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(server: uvicorn.Server) -> Iterator[socket.socket]:
    with socket.create_connection(server.servers[0].sockets[0].getsockname()) as connection:
        connection.settimeout(30)
        yield connection


def url_of(server: uvicorn.Server) -> str:
    return "http://{}:{}".format(*server.servers[0].sockets[0].getsockname())


def rest(client: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    received = b""
    try:
        while piece := client.recv(1 << 16):
            received += piece
    except ConnectionError:
        pass
    return received


def problem(answer: bytes, status: int, codigo: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert json.loads(body)["codigo"] == codigo


def test_what_is_no_http_is_a_problem_like_any_other(client: socket.socket) -> None:
    client.sendall(b"hola\r\n\r\n")
    problem(rest(client), 400, "http_invalido")


def test_a_request_before_what_is_no_http_gets_its_answer(client: socket.socket) -> None:
    client.sendall(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n\0hola\r\n\r\n")
    head, _, body = rest(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in head
    assert json.loads(body) == {"estado": "listo"}


def test_requests_that_come_together_are_answered_in_their_order(client: socket.socket) -> None:
    for path in (b"/readyz", b"/healthz", b"/nada", b"/readyz"):
        client.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
    client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    statuses = re.findall(rb"HTTP/1.1 (\d+)", rest(client))
    assert statuses == [b"200", b"200", b"404", b"200", b"200"]


def test_who_expects_to_be_told_to_go_on_is_told(client: socket.socket) -> None:
    head = b"POST /login/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
    client.sendall(head + b"expect: 100-continue\r\nconnection: close\r\n\r\n")
    assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"{}")
    assert rest(client).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_to_head_has_no_body(version: bytes, client: socket.socket) -> None:
    client.sendall(b"HEAD /healthz HTTP/%b\r\nhost: x\r\nconnection: close\r\n\r\n" % version)
    head, _, body = rest(client).partition(b"\r\n\r\n")
    assert b"content-length: 17" in head
    assert body == b""


@pytest.mark.parametrize("head", [b"GET /" + b"a" * MOST_HEAD, b"GET / HTTP/1.1\r\nx: " + b"a" * MOST_HEAD])
def test_a_head_without_end_is_cut_short(head: bytes, client: socket.socket) -> None:
    client.sendall(head + b"a")
    problem(rest(client), 431, "cabeceras_demasiado_largas")


def test_who_says_nothing_is_hung_up_on(client: socket.socket) -> None:
    assert rest(client) == b""


def test_a_head_that_dribbles_is_given_up(client: socket.socket) -> None:
    def dribble() -> bool:
        try:
            client.sendall(b"x: y\r\n")
        except ConnectionError:
            return True
        return False

    client.sendall(b"GET / HTTP/1.1\r\n")
    until(dribble)
    assert rest(client) == b""


def test_what_goes_on_after_the_answer_is_given_up(client: socket.socket) -> None:
    """A body that nobody asked for, and that never ends."""

    def send() -> bool:
        try:
            client.sendall(b"x" * 1000)
        except ConnectionError:
            return True
        return False

    client.sendall(b"POST /venta/ HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000000\r\n\r\n")
    assert client.recv(1000).startswith(b"HTTP/1.1 401 ")
    until(send)


def test_who_waits_and_who_rests_is_left_alone(server: uvicorn.Server) -> None:
    with client_of(url_of(server)) as resting, client_of(url_of(server)) as waiting:
        assert resting.get("/healthz").status_code == 200
        assert waiting.post("/user/", json=new_user("ana")).status_code == 201  # takes several looks
        assert resting.get("/healthz").status_code == 200
    assert server.server_state.total_requests == 3


def test_an_answer_that_nobody_reads_is_given_up(server: uvicorn.Server, client: socket.socket) -> None:
    for _ in range(200):  # more than the kernel holds for a client that reads nothing
        client.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
    until(lambda: server.server_state.connections)
    until(lambda: not server.server_state.connections)
