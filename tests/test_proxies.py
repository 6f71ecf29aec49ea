"""Behind HAProxy, nginx, Caddy and Node: both sides agree on where each request ends, and on whose it is."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import uvicorn
from proxies import PROXIES, proxy
from raw import FORM, LAST, READ, serving, statuses

BODY = b"token=abc"
SIZED = FORM + b"content-length: 9\r\n\r\n" + BODY
CHUNKED = FORM + b"transfer-encoding: chunked\r\n\r\n9\r\n" + BODY + b"\r\n0\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def server(database_of_all: str) -> Iterator[uvicorn.Server]:
    with serving(database_of_all, TRUSTED_PROXIES="1") as server:
        yield server


@pytest.fixture(scope="module", params=PROXIES)
def door(
    request, server: uvicorn.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    folder.chmod(0o777)
    with proxy(request.param, folder, server.servers[0].sockets[0].getsockname()[1]) as address:
        yield address


def test_requests_on_one_connection_are_answered_in_their_order(door):
    assert statuses(door, SIZED + CHUNKED + b"\r\n" + SIZED + LAST) == [READ, READ, READ, 200]


def test_a_trailer_is_no_header(door, database_of_all):
    body = b"username=nadie&password=nada-de-nada"
    head = FORM.replace(b"revocar", b"") + b"transfer-encoding: chunked\r\n\r\n"
    trailer = b"%x\r\n%b\r\n0\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n" % (len(body), body)
    assert statuses(door, head + trailer + LAST)[-1] == 200
    with psycopg.connect(database_of_all) as connection:
        found = {address for (address,) in connection.execute("SELECT direccion FROM auditoria").fetchall()}
    assert found == {"127.0.0.1"}


def test_who_offers_http_2_is_answered(door):
    offer = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\nhost: x"
    assert READ in statuses(door, SIZED.replace(b"host: x", offer), LAST)


def test_who_expects_to_be_told_to_go_on_is_told_and_read(door):
    head, end, body = SIZED.partition(b"\r\n\r\n")
    assert READ in statuses(door, head + b"\r\nexpect: 100-continue" + end, body + LAST)


def test_a_body_too_large_is_told_so(door):
    """The connection is to be kept: Caddy resets one that is not, while its client still sends."""
    head = FORM + b"content-length: 200000\r\n\r\n"
    assert statuses(door, head + b"x" * 200_000 + LAST)[0] in (413, 502)


def test_http_1_0_is_answered(door):
    assert statuses(door, SIZED.replace(b"1.1", b"1.0")) == [READ]


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 9\r\ntransfer-encoding: chunked",
        b"transfer-encoding: chunked\r\ncontent-length: 9",
        b"content-length: 9\r\ncontent-length: 0",
        b"content-length: 0\r\ncontent-length: 9",
        b"transfer-encoding: xchunked",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding: identity, chunked",
        b"transfer-encoding : chunked",
        b"transfer-encoding:\x0bchunked",
        b"transfer-encoding: chunked\r\ntransfer-encoding: x",
        b" transfer-encoding: chunked",
        b"x: y\r\n transfer-encoding: chunked",
        b"x: y\ntransfer-encoding: chunked",
        b"x: y\rtransfer-encoding: chunked",
        b"content-length: +0",
        b"content-length: 0x0",
        b"content-length: 0,0",
        b"content-length:\x0c0",
    ],
)
@pytest.mark.parametrize("body", [b"0\r\n\r\n", b"", b"9;a=\n\r\n", b"0\n\r\n", b"00000000000000000\r\n\r\n"])
def test_no_request_hides_in_the_body_of_another(door, framing, body):
    """Had the API seen a request where the proxy saw a body, its 404 would be what the next request gets."""
    found = statuses(door, FORM + framing + b"\r\n\r\n" + body + SMUGGLED + LAST)
    assert len(found) <= 3
    assert found[-1:] != [404]
    assert [statuses(door, LAST), statuses(door, LAST)] == [[200], [200]]
