"""RFC 9112 sections 6 and 7, as bytes: where a body ends, what frames it, and what comes after it."""

import json
from collections.abc import Iterator

import psycopg
import pytest
import uvicorn
from conftest import PASSWORD, new_user
from raw import FORM, HEAD, LAST, READ, answers, connect, exchange, one, rest, serving, statuses

from core.http.body_framing import MOST_EXTENSIONS, MOST_TRAILERS, TURN_LINES, Chunked

CHUNKED = FORM + b"transfer-encoding: chunked\r\n\r\n"
SIZED = FORM + b"content-length: 9\r\n\r\n"
BODY = b"token=abc"
ENDED = b"9\r\ntoken=abc\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def server(database_of_all: str) -> Iterator[uvicorn.Server]:
    with serving(database_of_all, TRUSTED_PROXIES="1") as server:
        yield server


def test_a_turn_of_the_event_loop_reads_a_bounded_number_of_chunks():
    body = b"1\r\na\r\n" * (2 * TURN_LINES)
    piece, taken = Chunked().take(body)
    assert (len(piece), taken) == (TURN_LINES // 2, 6 * TURN_LINES // 2)


def test_a_body_of_many_small_chunks_is_whole(server):
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in b"token=" + b"b" * 6000)
    assert statuses(server, CHUNKED + body + b"0\r\n\r\n" + LAST) == [READ, 200]


# 6.1 Transfer-Encoding


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b" CHUNKED ", b", chunked,"])
def test_it_reads_chunks(server, coding):
    request = FORM + b"transfer-encoding: " + coding + b"\r\n\r\n" + ENDED
    assert statuses(server, request + LAST) == [READ, 200]


@pytest.mark.parametrize(
    "coding", [b"gzip", b"gzip, chunked", b"identity", b"xchunked", b"chunked;a=b", b"chun ked"]
)
def test_it_does_not_implement_another_coding(server, coding):
    (answer,) = exchange(server, FORM + b"transfer-encoding: " + coding + b"\r\n\r\n" + ENDED + HEAD)
    assert (answer.status, answer.problem["codigo"]) == (501, "codificacion_desconocida")


@pytest.mark.parametrize(
    "coding", [b"", b",", b"chunked, gzip", b"chunked, chunked", b"chunked\r\ntransfer-encoding: identity"]
)
def test_it_refuses_what_does_not_end_in_chunked_once(server, coding):
    assert statuses(server, FORM + b"transfer-encoding: " + coding + b"\r\n\r\n" + ENDED + HEAD) == [400]


@pytest.mark.parametrize(
    "fields",
    [b"transfer-encoding: chunked\r\ncontent-length: 9", b"content-length: 9\r\ntransfer-encoding: x"],
)
def test_it_refuses_a_body_framed_twice(server, fields):
    assert statuses(server, FORM + fields + b"\r\n\r\n" + ENDED + HEAD) == [400]


def test_it_refuses_chunks_of_http_1_0(server):
    assert statuses(server, CHUNKED.replace(b"1.1", b"1.0") + ENDED) == [400]


# 6.2 Content-Length


@pytest.mark.parametrize(
    "length",
    [
        b"",
        b"+9",
        b"-9",
        b"9 9",
        b"9,9",
        b"0x9",
        b"9.0",
        b"nueve",
        b"9" * 30,
        b"9\r\ncontent-length: 9",
        "٩".encode(),
    ],
)
def test_it_refuses_a_length_that_is_none(server, length):
    assert statuses(server, FORM + b"content-length: " + length + b"\r\n\r\n" + BODY + HEAD) == [400]


@pytest.mark.parametrize("length", [b"9", b"009", b"  9\t"])
def test_it_reads_as_many_bytes_as_were_said(server, length):
    assert statuses(server, FORM + b"content-length: " + length + b"\r\n\r\n" + BODY + LAST) == [READ, 200]


# 6.3 Message body length


def test_a_request_without_a_length_has_no_body(server):
    assert statuses(server, FORM + b"\r\n" + LAST) == [400, 200]  # a token is missing


def test_a_body_may_come_with_any_method(server):
    request = HEAD.replace(b"host", b"content-length: 3\r\nhost")
    assert statuses(server, request + b"abc" + LAST) == [200, 200]


@pytest.mark.parametrize(
    "body", [SIZED + BODY, CHUNKED + ENDED, CHUNKED + b'1;a="b"\r\nt\r\n8\r\noken=abc\r\n00\r\na: b\r\n\r\n']
)
def test_a_request_may_be_cut_anywhere(server, body):
    whole = body + body + LAST
    for cut in range(1, len(body)):
        assert statuses(server, whole[:cut], whole[cut:]) == [READ, READ, 200]
    assert statuses(server, *(whole[n : n + 1] for n in range(len(whole)))) == [READ, READ, 200]


# 7.1 Chunks


@pytest.mark.parametrize("size", [b"", b"x", b"-9", b"+9", b"0x9", b"9 ", b" 9", b"9_", b"9" * 20])
def test_it_refuses_a_size_that_is_none(server, size):
    assert statuses(server, CHUNKED + size + b"\r\ntoken=abc\r\n0\r\n\r\n" + HEAD) == [400]


@pytest.mark.parametrize(
    "chunk",
    [
        b"9\ntoken=abc\r\n",
        b"9\r\ntoken=abc\n",
        b"9\r\ntoken=abc",
        b"9\r\ntoken=abce\r\n",
        b"a\r\ntoken=abc\r\n",
        b"9\rtoken=abc\r\n",
        b"9\r\ntoken=abc\r\r\n",
    ],
)
def test_it_refuses_a_chunk_that_does_not_end_where_it_says(server, chunk):
    assert statuses(server, CHUNKED + chunk + b"0\r\n\r\n" + HEAD) == [400]


@pytest.mark.parametrize("extension", [b";", b";[=x", b"; a=", b";a=b c", b';a="b', b";a=b\x00", b"g"])
def test_it_refuses_an_extension_that_is_none(server, extension):
    assert statuses(server, CHUNKED + b"9" + extension + b"\r\ntoken=abc\r\n0\r\n\r\n" + HEAD) == [400]


@pytest.mark.parametrize("extension", [b";a", b" ; a = b", b';a="b;\\"\xc3"', b";a;b=c;d"])
def test_it_ignores_an_extension(server, extension):
    assert statuses(
        server, CHUNKED + b"9" + extension + b"\r\ntoken=abc\r\n0" + extension + b"\r\n\r\n" + LAST
    ) == [READ, 200]


@pytest.mark.parametrize(
    "extensions", [b"1;" + b"a" * MOST_EXTENSIONS * 2, b"1;aaaaaaaa\r\nx\r\n" * MOST_EXTENSIONS]
)
@pytest.mark.parametrize("ending", [b"", b"\r\nx\r\n0\r\n\r\n"])
def test_extensions_have_a_bound(server, extensions, ending):
    assert statuses(server, CHUNKED + extensions + ending)[0] in (400, 413)


# 7.1.2 Trailer section; RFC 9110 section 6.5.1: what comes after a body is no header


def test_a_trailer_is_not_believed(server, database_of_all):
    body = b"username=nadie&password=nada-de-nada"
    request = CHUNKED.replace(b"revocar", b"") + b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    trailer = (
        b"X-Forwarded-For: 198.51.100.7\r\nAuthorization: Bearer x\r\nContent-Length: 5\r\nHost: y\r\n\r\n"
    )
    found = exchange(server, request + trailer + LAST)
    assert [answer.status == 200 for answer in found] == [False, True]
    with psycopg.connect(database_of_all) as connection:
        addresses = connection.execute("SELECT direccion FROM auditoria").fetchall()
    assert addresses
    assert not [address for (address,) in addresses if address.startswith("198.51")]


def test_a_token_in_a_trailer_is_none(server):
    request = HEAD.replace(b"/healthz", b"/user/me").replace(
        b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    answer, _ = exchange(server, request + b"0\r\nauthorization: Bearer x\r\n\r\n" + LAST)
    assert answer.problem["codigo"] == "no_autenticado"


@pytest.mark.parametrize("line", [b"a", b"a : b", b" a: b", b"a: b\x00", b"a: b\nc: d", b"\r"])
def test_it_refuses_a_trailer_that_is_none(server, line):
    assert statuses(server, CHUNKED + b"9\r\ntoken=abc\r\n0\r\n" + line + b"\r\n\r\n" + HEAD) == [400]


@pytest.mark.parametrize("trailer", [b"a: " + b"b" * MOST_TRAILERS * 2, b"a: b\r\n" * MOST_TRAILERS])
@pytest.mark.parametrize("ending", [b"", b"\r\n\r\n"])
def test_trailers_have_a_bound(server, trailer, ending):
    (answer,) = exchange(server, CHUNKED + b"9\r\ntoken=abc\r\n0\r\n" + trailer + ending)
    assert (answer.status, answer.problem["codigo"]) == (431, "cabeceras_demasiado_largas")


@pytest.mark.parametrize("cut", range(-4, 0))
def test_the_bound_of_trailers_is_the_same_wherever_their_end_is_cut(cut):
    lines, framing = b"0\r\n" + b"a: ".ljust(MOST_TRAILERS, b"b") + b"\r\n\r\n", Chunked()
    _, taken = framing.take(lines[:cut])
    framing.take(lines[taken:])
    assert framing.whole


# RFC 9110 section 7.8: who does not know Upgrade ignores it


@pytest.mark.parametrize("body", [SIZED + BODY, CHUNKED + ENDED])
@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"TLS/1.0", b"made-up/1.0"])
def test_a_request_that_offers_another_protocol_is_like_any_other(server, protocol, body):
    offer = (
        b"connection: upgrade, http2-settings\r\nupgrade: "
        + protocol
        + b"\r\nhttp2-settings: AAMAAABk\r\nhost: x"
    )
    head, end, content = body.replace(b"host: x", offer).partition(b"\r\n\r\n")
    assert statuses(server, head + end + content + LAST) == [READ, 200]
    with connect(server) as client:
        client.sendall(head + end)
        client.sendall(content)
        assert one(client).status == READ
        client.sendall(LAST)
        assert rest(client).startswith(b"HTTP/1.1 200 ")


# RFC 9110 section 10.1.1: Expect


def expecting(length: int = 9, path: bytes = b"/login/revocar") -> bytes:
    return SIZED.replace(b": 9", b": %d\r\nexpect: 100-continue" % length).replace(b"/login/revocar", path)


def test_who_expects_to_be_told_to_go_on_is_told(server):
    with connect(server) as client:
        client.sendall(expecting())
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY + LAST)
        assert [answer.status for answer in answers(rest(client))] == [READ, 200]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (expecting(1 << 30), 413),
        (expecting(path=b"/venta/"), 401),
        (expecting(path=b"/nada"), 404),
        (expecting().replace(b"x-www-form-urlencoded", b"xml"), 415),
        (expecting().replace(b"content-type", b"x-type"), 415),
        (CHUNKED.replace(b"content-type", b"expect: 100-continue\r\nx-type"), 415),
        (expecting().replace(b"100-continue", b"200-ok"), 417),
    ],
)
def test_a_request_that_is_refused_is_not_asked_to_go_on(server, request_, status):
    (answer,) = exchange(server, request_)
    assert answer.status == status
    assert answer.headers["connection"] == "close"  # its body may come, or may not


def test_whose_body_came_already_is_not_told_to_go_on(server):
    assert statuses(server, expecting() + BODY + LAST) == [READ, 200]


def test_http_1_0_is_never_told_to_go_on(server):
    assert statuses(server, expecting().replace(b"1.1", b"1.0"), BODY) == [READ]


def test_an_account_can_be_made_in_chunks_of_one_byte(server):
    body = json.dumps(new_user("ana") | {"password": PASSWORD}).encode()
    head = CHUNKED.replace(b"/login/revocar", b"/user/").replace(b"x-www-form-urlencoded", b"json")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    assert statuses(server, head + chunks + b"0\r\n\r\n" + LAST) == [201, 200]
