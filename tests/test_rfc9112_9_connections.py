"""RFC 9112 section 9, as bytes: which connections go on, pipelining, half-closed clients, and how a connection ends."""

import json
import re
import socket
import struct
from collections.abc import Iterator

import pytest
import uvicorn
from conftest import PASSWORD, client_of, log_in, new_user
from fleets import until
from raw import FORM, HEAD, LAST, READ, answers, connect, exchange, one, rest, serving, statuses

BODY = b"token=abc"
SIZED = FORM + b"content-length: 9\r\n\r\n"


@pytest.fixture(scope="module")
def server(database_of_all: str) -> Iterator[uvicorn.Server]:
    with serving(database_of_all) as server:
        yield server


@pytest.fixture(scope="module")
def sale(server: uvicorn.Server) -> bytes:
    """A request that sells, with Ana's token."""
    with client_of("http://{}:{}".format(*server.servers[0].sockets[0].getsockname())) as api:
        assert api.post("/user/", json=new_user("ana")).status_code == 201
        token = log_in(api, "ana", PASSWORD).encode()
    body = b'{"venta": 1, "ventas_productos": 1}'
    head = (
        b"POST /venta/ HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer "
        + token
    )
    return head + b"\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def get(version: bytes, *fields: bytes, path: bytes = b"/healthz") -> bytes:
    return b"\r\n".join([b"GET " + path + b" HTTP/" + version, b"host: x", *fields, b"", b""])


# 9.3 Persistence


@pytest.mark.parametrize(
    ("request_", "goes_on"),
    [
        (get(b"1.1"), True),
        (get(b"1.1", b"connection: keep-alive"), True),
        (get(b"1.1", b"connection: close"), False),
        (get(b"1.1", b"connection: keep-alive", b"connection: x, Close"), False),
        (get(b"1.0"), False),
        (get(b"1.0", b"connection: Keep-Alive"), True),
        (get(b"1.0", b"connection: keep-alive, close"), False),
        (get(b"1.2"), True),
    ],
)
def test_a_connection_goes_on_where_both_sides_want_it(server, request_, goes_on):
    found = exchange(server, request_ + LAST)
    assert [answer.status for answer in found] == ([200, 200] if goes_on else [200])
    old = b"HTTP/1.0" in request_
    assert found[0].headers.get("connection") == (
        None if goes_on and not old else "keep-alive" if goes_on else "close"
    )


def test_an_answer_to_http_1_0_of_unsaid_length_ends_with_the_connection(server, sale):
    token = re.search(rb"authorization: [^\r]+", sale)[0]
    path = b"/venta/exportar?formato=csv"
    with connect(server) as client:
        client.sendall(get(b"1.0", token, b"connection: keep-alive", path=path))
        head, _, body = rest(client).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body.startswith(b"id,")
    assert exchange(server, get(b"1.1", token, b"connection: close", path=path))[0].body == body


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_an_answer_to_head_has_no_body(server, version):
    with connect(server) as client:
        client.sendall(get(version, b"connection: close").replace(b"GET", b"HEAD"))
        head, _, body = rest(client).partition(b"\r\n\r\n")
    assert b"content-length: 17" in head
    assert body == b""


# 9.3.2 Pipelining


def test_requests_that_come_together_are_answered_in_their_order(server):
    paths = [b"/readyz", b"/healthz", b"/nada", b"/readyz"]
    requests = b"".join(get(b"1.1", path=path) for path in paths) + SIZED + BODY
    assert statuses(server, requests + LAST) == [200, 200, 404, 200, READ, 200]


def test_very_many_requests_that_come_together_are_answered(server):
    found = exchange(server, get(b"1.1", path=b"/nada") * 3000 + LAST)
    assert [answer.status for answer in found] == [404] * 3000 + [200]


def test_a_sale_before_what_is_no_http_is_made_and_its_seller_told(server, sale):
    made, refused = exchange(server, sale + b"\0hola\r\n\r\n")
    assert (made.status, refused.status) == (201, 400)
    assert json.loads(made.body)["respuesta"] == "Venta creada correctamente"


def test_a_client_that_hangs_up_with_requests_waiting_is_no_defect_of_ours(server, caplog):
    for _ in range(30):
        client = connect(server)
        client.sendall(get(b"1.1", path=b"/readyz") * 3)
        client.recv(1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    until(lambda: not server.server_state.connections)
    assert statuses(server, LAST) == [200]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# 9.6 Tear-down: who sends no more may still read


@pytest.mark.parametrize(
    "requests", [HEAD, get(b"1.1", path=b"/readyz") * 3 + HEAD, SIZED + BODY, SIZED + BODY + HEAD]
)
def test_a_client_that_sends_no_more_is_answered(server, requests):
    with connect(server) as client:
        client.sendall(requests)
        client.shutdown(socket.SHUT_WR)
        found = answers(rest(client))
    assert {answer.status for answer in found} <= {200, READ}
    assert len(found) == requests.count(b"HTTP/1.1")


def test_a_seller_that_sends_no_more_hears_of_the_sale(server, sale):
    with connect(server) as client:
        client.sendall(sale)
        client.shutdown(socket.SHUT_WR)
        assert [answer.status for answer in answers(rest(client))] == [201]


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET", HEAD[:-2], SIZED, SIZED + BODY[:-1], FORM + b"transfer-encoding: chunked\r\n\r\n9\r\na=b"],
)
def test_a_client_that_sends_no_more_of_a_request_is_hung_up_on(server, begun):
    with connect(server) as client:
        client.sendall(begun)
        client.shutdown(socket.SHUT_WR)
        assert rest(client) == b""


# 9.6: who is refused while still sending reads why


@pytest.mark.parametrize("path", [b"/user/", b"/venta/", b"/nada"])
@pytest.mark.parametrize("framing", [b"content-length: 6000000", b"transfer-encoding: chunked"])
def test_who_is_refused_while_sending_reads_the_answer(server, path, framing):
    head = (
        b"POST "
        + path
        + b" HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        + framing
        + b"\r\n\r\n"
    )
    body = b"x" * 6_000_000 if b"length" in framing else b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for _ in range(5):
        with connect(server) as client:
            client.sendall(head)
            client.sendall(body if b"length" in framing else body * 90)
            (answer,) = answers(rest(client))
        assert answer.status in (401, 404, 413)
        assert answer.headers["connection"] == "close"


def test_a_short_body_that_nobody_asked_for_does_not_end_the_connection(server):
    request = SIZED.replace(b"/login/revocar", b"/nada")
    assert statuses(server, request + BODY + LAST) == [404, 200]
    assert statuses(server, request, BODY + LAST) == [404, 200]
    assert statuses(server, request + BODY[:3], BODY[3:], LAST) == [404, 200]


def test_an_answer_may_come_before_the_body_of_its_request(server):
    with connect(server) as client:
        client.sendall(SIZED.replace(b"/login/revocar", b"/nada"))
        assert one(client).status == 404
        client.sendall(BODY + SIZED + BODY)
        assert one(client).status == READ
